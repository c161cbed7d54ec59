"Attacks a server of this checkout: the hostile tests, the table of permissions, two tenants at random, schemathesis with and without a key. Writes a report."

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
TESTS = ("test_hostile", "test_patterns", "test_keys", "test_limits", "test_tenants", "test_doors")
PAIRS, CASES, SEED = 10_000, 5_000, 7
RUNS = 8  # of schemathesis at most, each with another seed, until there were so many cases


def run_tests() -> tuple[str, str]:
    "Runs the hostile tests, slow ones too: pytest's summary, and the table that test_keys prints."
    files = [str(ROOT / "tests" / f"{name}.py") for name in TESTS]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-rP", *files], cwd=ROOT, capture_output=True, text=True)
    table = "\n".join(line for line in done.stdout.splitlines() if line.startswith("| ") or line.startswith("|---"))
    print("\n".join(line for line in done.stdout.splitlines() if line.startswith("FAILED")), file=sys.stderr)
    return re.sub(r" in [\d.]+s.*", "", done.stdout.strip().splitlines()[-1].strip("= ")), table


def random_pairs(home: Path) -> list[str]:
    "What random requests of one tenant showed of the other."
    from test_keys import Tenants
    from test_tenants import leaks

    return leaks(Tenants(home), PAIRS, SEED)


def run_schemathesis(described: Path, here: str, given: list[str], seed: int, seconds: int, log: Path) -> tuple[int, Counter[str]]:
    "One run of schemathesis against a server: the number of requests, and the failures by check."
    tool = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(ROOT / "tests/tools/schemathesis.toml"), "--no-color"]
    how = ["run", str(described), "--url", here, *given, "-n", "200", "--seed", str(seed), "--continue-on-failure", "--no-shrink", "--max-time", str(seconds),
           "--phases", "examples,coverage,fuzzing", "--generation-database", "none"]
    done = subprocess.run([*tool, *how], cwd=log.parent, capture_output=True, text=True)
    log.write_text(done.stdout)
    if not (cases := re.search(r"(\d+) generated", done.stdout)):
        raise SystemExit(f"schemathesis did not run:\n{done.stdout[-3_000:]}{done.stderr[-2_000:]}")
    return int(cases[1]), Counter({what: int(number) for what, number in re.findall(r"^  (?:❌|🚫) ([^:\n]+): (\d+)$", done.stdout, re.M)})


def schemathesis(home: Path, seconds: int) -> list[tuple[str, int, Counter[str]]]:
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
        for _ in range(100):
            try:
                described.write_text(httpx.get(f"{here}/openapi.json", headers=headers).text)
                break
            except httpx.TransportError:
                time.sleep(0.3)
        httpx.post(f"{here}/v1/query", json={"question": "What torque does the seal need?"}, headers=headers, timeout=120).raise_for_status()  # loads what the first one needs
        for name, given in (("with a key", ["-H", f"Authorization: Bearer {key}"]), ("without a key", [])):
            count, failures = 0, Counter[str]()
            for seed in range(SEED, SEED + RUNS):
                made, failed = run_schemathesis(described, here, given, seed, seconds, home.parent / f"schemathesis {name} {seed}.txt")
                count, failures = count + made, failures + failed
                if count >= CASES:
                    break
            found.append((name, count, failures))
        assert httpx.get(f"{here}/healthz").status_code == 200
    finally:
        server.terminate()
        server.wait(20)
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=ROOT / "reports/attack.md")
    options.add_argument("--seconds", type=int, default=90, help="for each run of schemathesis")
    given = options.parse_args()
    place = Path(tempfile.mkdtemp(prefix="ragwb-attack-"))
    summary, table = run_tests()
    shown, generated = random_pairs(place / "tenants"), schemathesis(place / "home", given.seconds)
    rows = [f"| {name} | {count:,} | {sum(failures.values())} | {', '.join(f'{what}: {n}' for what, n in failures.items()) or 'none'} |" for name, count, failures in generated]
    given.out.write_text(f"""# Attack

Written by `make attack`. Logs of this run: a temporary folder that it names.

## Hostile tests

`{", ".join(TESTS)}`: {summary}

## Generated requests

Schemathesis, all checks, phases examples, coverage and fuzzing, seeds from {SEED} until there were {CASES:,} cases,
at most {RUNS} runs of {given.seconds} s. The two exceptions are in `tests/tools/schemathesis.toml`.

| | requests | failures | by check |
|---|---|---|---|
{chr(10).join(rows)}

## Two tenants at random

{PAIRS:,} requests of one tenant about its own and the other's things: {len(shown)} responses with text, names or ids of the other, server errors, or refusals of what is allowed.

## Routes and keys

The status of each route, asked about another's things. Revoked while a response is on its way:
`test_a_stream_ends_when_its_key_is_revoked`,
`test_a_socket_ends_when_its_key_is_revoked_or_its_session_is_signed_out`, for all routes, since one gate watches them.

{table}
""", "utf-8")
    print(f"{given.out}; logs in {place}")
    print("\n".join(shown[:10]))
    print(json.dumps([[name, count, dict(failures)] for name, count, failures in generated]))
    return int(bool(shown) or any(failures for _, _, failures in generated) or "failed" in summary or "error" in summary)


if __name__ == "__main__":
    sys.exit(main())
