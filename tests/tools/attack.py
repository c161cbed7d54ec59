"""Attacks a server of this checkout: schemathesis with and without a key, two tenants at random, the hostile tests, the table of permissions. Writes a report.

    python tests/tools/attack.py [--only generated pairs test_keys ...]

A part that is run alone takes the place of what the report had of it; each section names the code that was attacked, and a report of several codes is no pass.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np

from ragwb.experiments.benchmarks import Row, read_rows, write_benchmark
from ragwb.operations.keys import KeyStore, add_key
from ragwb.settings import Settings
from ragwb.storage.folder import Folder
from ragwb.workbench import Workbench

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
TESTS = ("test_keys", "test_openid", "test_limits", "test_tenants", "test_doors", "test_known_attacks", "test_audit", "test_hostile", "test_patterns")
ELSEWHERE = ("tests/test_patterns.py::test_no_string_of_all_keeps_a_pattern_busy",)  # up to fifty minutes: make test-slow
PAIRS, CASES, SEED = 10_000, 5_000, 7
RUNS = 4  # of schemathesis at most, each with another seed, until there were so many cases


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
    lines = [line for line in said.splitlines() if line.startswith(("| ", "|---"))]
    heads = {number - 1 for number, line in enumerate(lines) if line.startswith("|---")}
    return "\n".join(f"\n{line}" if number in heads and number else line for number, line in enumerate(lines))


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
    from servers import free_port, served

    settings, found, place = Settings(home=home, port=free_port(), model_servers=""), list[tuple[str, int, Counter[str]]](), home.parent
    Workbench(settings).ingest_files([("seals.md", b"# Seals\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n")])
    key = KeyStore(Folder(home)).change(lambda ring: add_key(ring, "attack", ["admin"]))[2]
    headers, described = {"Authorization": f"Bearer {key}"}, place / "openapi.json"
    with served(settings, place) as here:
        described.write_text(httpx.get(f"{here}/openapi.json", headers=headers, timeout=60).raise_for_status().text)
        httpx.post(f"{here}/v1/query", json={"question": "What torque does the seal need?"}, headers=headers, timeout=120).raise_for_status()  # loads what the first one needs
        for name, given in (("with a key", ["-H", f"Authorization: Bearer {key}"]), ("without a key", [])):
            count, failures = 0, Counter[str]()
            for seed in range(SEED, SEED + RUNS):
                needed = seconds * (cases - count) / count if count else seconds  # as fast as until now
                made, failed = run_schemathesis(described, here, given, seed, min(seconds, round(1.2 * needed) + 20), place / f"schemathesis {name} {seed}.txt")
                count, failures = count + made, failures + failed
                if count >= cases:
                    break
            found.append((name, count, failures))
        httpx.get(f"{here}/healthz", timeout=60).raise_for_status()
    return found


def waited(here: str, headers: dict[str, str], seconds: float) -> list[float]:
    "Milliseconds that questions took, asked one after the other for so long."
    took, until = list[float](), time.monotonic() + seconds
    with httpx.Client(base_url=here, headers=headers, timeout=120) as client:
        while (begun := time.monotonic()) < until:
            client.post("/v1/query", json={"question": f"What torque does the seal A1-{900 + len(took) % 100} need?"}).raise_for_status()
            took.append(1e3 * (time.monotonic() - begun))
    return took


def beside(place: Path, seconds: float = 60) -> str:
    "How much longer others wait while hostile files are read."
    from hostile_files import KINDS
    from servers import free_port, served

    home, sent, over = place / "beside", list[str](), threading.Event()
    settings = Settings(home=home, port=free_port(), model_servers="")
    Workbench(settings).ingest_files([("seals.md", b"# Seals\n\nThe seal A1-990 is tightened with a torque of 42 N m.\n")])
    headers = {"Authorization": f"Bearer {KeyStore(Folder(home)).change(lambda ring: add_key(ring, 'attack', ['admin']))[2]}"}

    def send(here: str) -> None:
        for name in sorted(KINDS, key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
            if over.is_set():
                return
            httpx.post(f"{here}/v1/documents?collection=hostile", files=[("files", (name, KINDS[name]()))], headers=headers, timeout=120)
            sent.append(name)

    with served(settings, place) as here:
        waited(here, headers, 5)  # what is loaded at the first question
        quiet = waited(here, headers, seconds)
        sending = threading.Thread(target=send, args=(here,), daemon=True)
        sending.start()
        busy = waited(here, headers, seconds)
        over.set()
        sending.join()
    (one, alone), (two, among) = (np.percentile(took, [50, 99]) for took in (quiet, busy))
    return (f"A client asks one question after the other: {len(quiet):,} alone (p50 {one:.0f} ms, p99 {alone:.0f} ms), {len(busy):,} while another client had "
            f"{len(sent)} hostile files read (p50 {two:.0f} ms, p99 {among:.0f} ms): p99 {among / alone:.1f} times as long.")


def tested(place: Path, name: str) -> str:
    "What came of a module of hostile tests."
    return told_of(name, *run_tests(name, place / f"{name}.txt"))


def told_of(name: str, summary: str, said: str) -> str:
    "The section of a module: its outcome, and what it prints for the report."
    if name == "test_hostile":
        return f"{summary}. Hostile files: {hostile_costs(said)}."
    if name == "test_patterns":
        return f"{summary}. The campaign of all strings for each pattern takes up to fifty minutes and is in `make test-slow`; here each pattern meets a sample."
    if name == "test_keys":
        return f"""{summary}. The status of each route, asked about another's things. Revoked while a response is on its way:
`test_a_stream_ends_when_its_key_is_revoked`,
`test_a_socket_ends_when_its_key_is_revoked_or_its_session_is_signed_out`, for all routes, since one gate watches them.

{table_of(said) or "not measured"}"""
    return f"{summary}."


def paired(place: Path, pairs: int) -> str:
    "Two tenants at random."
    shown = random_pairs(place / "tenants", pairs)
    said = (f"{pairs:,} requests of one tenant about its own and the other's things: {len(shown)} responses with text, names or ids of the other, "
            "server errors, or refusals of what is allowed.")
    return "\n\n".join([said, *(f"- failed: `{each[:300]}`" for each in shown[:20])])


def generated(place: Path, cases: int, seconds: int) -> str:
    "Requests that schemathesis generates."
    made = schemathesis(place / "home", cases, seconds)
    rows = [f"| {name} | {count:,} | {sum(failures.values())} | {', '.join(f'failed {what}: {n}' for what, n in failures.items()) or 'none'} |" for name, count, failures in made]
    few = [f"error: only {count:,} requests {name}" for name, count, _ in made if count < cases]
    return f"""Schemathesis, all checks, phases examples, coverage and fuzzing, seeds from {SEED} until there were {cases:,} cases,
at most {RUNS} runs of {seconds} s. The exceptions are in `tests/tools/schemathesis.toml`.

| | requests | failures | by check |
|---|---|---|---|
""" + "\n".join([*rows, *few])


PARTS = {"generated": "Generated requests", "pairs": "Two tenants at random", "beside": "Others while hostile files are read", "test_keys": "Routes and keys",
         **{name: f"Hostile tests: {name.removeprefix('test_')}" for name in TESTS if name != "test_keys"}}  # part -> its section


def attacked() -> str:
    "The name of the code that is attacked: a hash of the package."
    whole = hashlib.sha256()
    for path in sorted((ROOT / "ragwb").rglob("*.py")):
        whole.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return whole.hexdigest()[:12]


def write_report(folder: Path, rows: dict[str, Row]) -> None:
    "Writes the parts that there are, in their order."
    head = f"# Attack\n\nWritten by `make attack` on {os.cpu_count()} processors, by `nice`."
    write_benchmark(folder, "attack", {"head": head}, [rows[part] for part in PARTS if part in rows])


def faults_of(rows: dict[str, Row]) -> list[str]:
    "Why a report is no pass: what is missing, what failed, parts of other code than this."
    missing = [f"no section {title!r}" for part, title in PARTS.items() if part not in rows]
    wrong = [f"{row['title']}: {word}" for row in rows.values() for word in ("failed", "error:", "not measured") if word in row["said"]]
    return [*missing, *wrong, *(f"{row['title']}: of other code" for row in rows.values() if row["code"] != attacked())]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=ROOT / "reports", help="folder of attack.md and its rows")
    options.add_argument("--seconds", type=int, default=150, help="for each run of schemathesis")
    options.add_argument("--pairs", type=int, default=PAIRS, help="requests of two tenants")
    options.add_argument("--cases", type=int, default=CASES, help="generated requests, with a key and without")
    options.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="parts; what the report has of the others stays")
    given = options.parse_args()
    place = Path(tempfile.mkdtemp(prefix="ragwb-attack-"))
    print(f"logs in {place}", flush=True)
    work = {"generated": lambda: generated(place, given.cases, given.seconds), "pairs": lambda: paired(place, given.pairs), "beside": lambda: beside(place)}
    rows = {row["part"]: row for row in read_rows(given.out, "attack") if row["part"] in PARTS}
    for part in given.only:
        begun, title, code = time.monotonic(), PARTS[part], attacked()
        try:
            said = work[part]() if part in work else tested(place, part)
        except Exception as error:  # noqa: BLE001  # one part that cannot run is told, and is no reason to leave out the others
            said = f"error: the part did not run: `{type(error).__name__}: {str(error)[:500]}`"
        rows[part] = {"part": part, "title": title, "said": said, "code": code}
        write_report(given.out, rows)  # what is done stays, whatever becomes of the rest
        print(f"## {title}\n\n{said}\n\n{part}: {time.monotonic() - begun:.0f} s\n", flush=True)
    faults = faults_of(rows)
    print("\n".join(faults) or "nothing found", flush=True)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
