"Attacks a server of this checkout: the hostile tests, the table of permissions, two tenants at random, schemathesis with and without a key. Writes a report."

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
TESTS = ("test_keys", "test_openid", "test_limits", "test_tenants", "test_doors", "test_hostile", "test_patterns")
ELSEWHERE = ("tests/test_patterns.py::test_no_string_of_all_keeps_a_pattern_busy",)  # up to fifty minutes: make test-slow
PAIRS, CASES, SEED = 10_000, 5_000, 7
RUNS = 8  # of schemathesis at most, each with another seed, until there were so many cases


def run_tests(name: str, log: Path) -> tuple[str, str]:
    "Runs the tests of a module, slow ones too: pytest's summary, and all that it said."
    given = [str(ROOT / "tests" / f"{name}.py"), *(f"--deselect={each}" for each in ELSEWHERE)]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-rP", *given], cwd=ROOT, capture_output=True, text=True)
    log.write_text(done.stdout + done.stderr)
    print("\n".join(line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))), file=sys.stderr)
    said = [line for line in done.stdout.strip().splitlines() if re.search(r"\d+ (passed|failed|error|skipped)", line)]
    return re.sub(r" in [\d.]+s.*|, \d+ warnings?", "", said[-1].strip("= ")) if said else f"error: pytest ended with {done.returncode}", done.stdout


def table_of(said: str) -> str:
    "The tables that tests print."
    return "\n".join(line for line in said.splitlines() if line.startswith(("| ", "|---")))


def hostile_costs(said: str) -> str:
    "What hostile files cost, of what test_hostile prints."
    costs = [(name, float(seconds), int(memory)) for name, seconds, memory in re.findall(r"^hostile: (.+) ([\d.]+) s (\d+) MB$", said, re.M)]
    if not costs:
        return "not measured"
    slowest, largest = max(costs, key=lambda cost: cost[1]), max(costs, key=lambda cost: cost[2])
    return f"{len(costs)} files and pages: at most {slowest[1]} s of a processor ({slowest[0]}) and {largest[2]:,} MB ({largest[0]})"


def random_pairs(home: Path, pairs: int) -> list[str]:
    "What random requests of one tenant showed of the other."
    from test_keys import Tenants
    from test_tenants import leaks

    return leaks(Tenants(home), pairs, SEED)


def run_schemathesis(described: Path, here: str, given: list[str], seed: int, seconds: int, log: Path) -> tuple[int, Counter[str]]:
    "One run of schemathesis against a server: the number of requests, and the failures by check."
    tool = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(ROOT / "tests/tools/schemathesis.toml"), "--no-color"]
    how = ["run", str(described), "--url", here, *given, "-n", "200", "--seed", str(seed), "--continue-on-failure", "--no-shrink", "--max-time", str(seconds),
           "--phases", "examples,coverage,fuzzing", "--generation-database", "none"]
    done = subprocess.run([*tool, *how], cwd=log.parent, capture_output=True, text=True)
    log.write_text(done.stdout)
    if not (cases := re.search(r"(\d+) generated", done.stdout)):
        raise RuntimeError(f"schemathesis did not run:\n{done.stdout[-3_000:]}{done.stderr[-2_000:]}")
    return int(cases[1]), Counter({what: int(number) for what, number in re.findall(r"^  (?:❌|🚫) ([^:\n]+): (\d+)$", done.stdout, re.M)})


def schemathesis(home: Path, cases: int, seconds: int) -> list[tuple[str, int, Counter[str]]]:
    "Generated requests to a running server, with the key of an administrator and without one: how many, and the failures by check."
    environment = {**os.environ, "RAGWB_HOME": str(home), "RAGWB_MODEL_SERVERS": "", "PYTHONPATH": str(ROOT)}
    ragwb = [sys.executable, "-c", "from ragwb.cli import main; main()"]
    (home.parent / "seals.md").write_text("# Seals\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n")
    subprocess.run([*ragwb, "ingest", str(home.parent / "seals.md")], env=environment, check=True, capture_output=True)
    key = subprocess.run([*ragwb, "keys", "create", "attack", "--scope", "admin"], env=environment, check=True, capture_output=True, text=True).stdout.strip()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        here = f"http://127.0.0.1:{probe.getsockname()[1]}"
    server = subprocess.Popen([*ragwb, "serve", "--port", here.rpartition(":")[2]], env=environment, cwd=home.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = []
    try:
        headers, described = {"Authorization": f"Bearer {key}"}, home.parent / "openapi.json"
        for _ in range(600):
            try:
                described.write_text(httpx.get(f"{here}/openapi.json", headers=headers, timeout=60).raise_for_status().text)
                break
            except httpx.TransportError:
                time.sleep(0.3)
        httpx.post(f"{here}/v1/query", json={"question": "What torque does the seal need?"}, headers=headers, timeout=120).raise_for_status()  # loads what the first one needs
        for name, given in (("with a key", ["-H", f"Authorization: Bearer {key}"]), ("without a key", [])):
            count, failures = 0, Counter[str]()
            for seed in range(SEED, SEED + RUNS):
                made, failed = run_schemathesis(described, here, given, seed, seconds, home.parent / f"schemathesis {name} {seed}.txt")
                count, failures = count + made, failures + failed
                if count >= cases:
                    break
            found.append((name, count, failures))
        httpx.get(f"{here}/healthz", timeout=60).raise_for_status()
    finally:
        server.terminate()
        server.wait(20)
    return found


def tested(place: Path) -> Iterator[str]:
    "The hostile tests, module by module."
    rows, said = [], ""
    for name in TESTS:
        summary, told = run_tests(name, place / f"{name}.txt")
        rows, said = [*rows, f"| {name} | {summary} |"], said + told
    yield "## Hostile tests\n\n| module | outcome |\n|---|---|\n" + "\n".join(rows) + f"\n\nHostile files: {hostile_costs(said)}.\n\n" + (
        "The campaign of all strings for each pattern takes up to fifty minutes and is in `make test-slow`; here each pattern meets a sample.")
    yield f"""## Routes and keys

The status of each route, asked about another's things. Revoked while a response is on its way:
`test_a_stream_ends_when_its_key_is_revoked`,
`test_a_socket_ends_when_its_key_is_revoked_or_its_session_is_signed_out`, for all routes, since one gate watches them.

{table_of(said)}"""


def paired(place: Path, pairs: int) -> Iterator[str]:
    "Two tenants at random."
    shown = random_pairs(place / "tenants", pairs)
    yield (f"## Two tenants at random\n\n{pairs:,} requests of one tenant about its own and the other's things: {len(shown)} responses with text, names or ids of the other, "
           "server errors, or refusals of what is allowed.")
    if shown:
        yield "\n".join(f"- failed: `{each[:300]}`" for each in shown[:20])


def generated(place: Path, cases: int, seconds: int) -> Iterator[str]:
    "Requests that schemathesis generates."
    made = schemathesis(place / "home", cases, seconds)
    rows = [f"| {name} | {count:,} | {sum(failures.values())} | {', '.join(f'failed {what}: {n}' for what, n in failures.items()) or 'none'} |" for name, count, failures in made]
    yield f"""## Generated requests

Schemathesis, all checks, phases examples, coverage and fuzzing, seeds from {SEED} until there were {cases:,} cases,
at most {RUNS} runs of {seconds} s. The exceptions are in `tests/tools/schemathesis.toml`.

| | requests | failures | by check |
|---|---|---|---|
""" + "\n".join(rows)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=ROOT / "reports/attack.md")
    options.add_argument("--seconds", type=int, default=90, help="for each run of schemathesis")
    options.add_argument("--pairs", type=int, default=PAIRS, help="requests of two tenants")
    options.add_argument("--cases", type=int, default=CASES, help="generated requests, with a key and without")
    given = options.parse_args()
    place, found = Path(tempfile.mkdtemp(prefix="ragwb-attack-")), list[str]()
    print(f"logs in {place}", flush=True)
    head = f"# Attack\n\nWritten by `make attack` on {os.cpu_count()} processors, by `nice`."
    for part in (generated(place, given.cases, given.seconds), paired(place, given.pairs), tested(place)):
        try:
            for section in part:
                found.append(section)
                given.out.write_text("\n\n".join((head, *found, "")), "utf-8")  # what is done stays, whatever becomes of the rest
                print(section, flush=True)
        except Exception as error:  # noqa: BLE001  # one part that cannot run is told, and is no reason to leave out the others
            found.append(f"## A part that did not run\n\nerror: `{type(error).__name__}: {str(error)[:500]}`")
            given.out.write_text("\n\n".join((head, *found, "")), "utf-8")
            print(found[-1], flush=True)
    return int(any(word in each for each in found for word in ("failed", "error:", "not measured")))


if __name__ == "__main__":
    sys.exit(main())
