"""Runs every target that `make help` lists, each in a fresh clone of the last commit and an empty environment, and prints a table of them.
`python3 tests/tools/targets.py` runs them all, which takes an hour and more; `python3 tests/tools/targets.py check sample` runs these two."""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = re.compile(r"PATH|LANG|TERM|CI|PIP_\w+|\w+_proxy|SSL_CERT_\w+|REQUESTS_CA_BUNDLE", re.IGNORECASE)  # of the environment: what a machine needs to install packages
VARIABLES = {"demo": {"DEMO_SERVE": "0"}}
# What only an account or a cluster can do says which variable it lacks, before anything is installed or changed.
REFUSED = {target: f"{variable} is missing" for target, variable in re.findall(r"^([a-z-]+): given-(\w+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)}
# A command that ends with 0 where a target can be run.
NEEDS = {"image": ["docker", "info"], "image-try": ["unshare", "--mount", "sh", "-c", "command -v buildah && command -v debootstrap"], "sbom": ["syft", "version"]}
DATA = ("quality", "chunking-bench")  # want the public data of --bench


@dataclass(frozen=True)
class Ran:
    "A target's end."
    target: str
    code: int | None  # None: not run
    seconds: float
    note: str = ""

    @property
    def failed(self) -> bool:
        "Whether it was run and did not do what it says."
        return bool(self.code)


def listed() -> list[str]:
    "The targets of `make help`."
    said = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return re.findall(r"^ *make ([a-z-]+) ", said, re.MULTILINE)


def lacking(target: str, bench: Path) -> str:
    "What a target needs and this machine has not; empty: it can be run."
    if target in DATA and not bench.is_dir():
        return f"needs public data in {bench.name}/: name it with --bench"
    command = NEEDS.get(target)
    try:
        there = command is None or subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        there = False
    return "" if there else f"needs {' '.join(command or ())} to work"


def surroundings(home: Path, bench: Path) -> dict[str, str]:
    "An environment in which nothing is set that a newcomer has not."
    home.mkdir(exist_ok=True)
    return {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)} | {"HOME": str(home), "BENCH": str(bench)}


def end(process: "subprocess.Popen[bytes]", how: signal.Signals, patience: float) -> int | None:
    "Sends a signal to a target and its children, and waits. None: it goes on."
    with suppress(ProcessLookupError):
        os.killpg(process.pid, how)
    with suppress(subprocess.TimeoutExpired):
        return process.wait(patience)
    return None


def served(process: "subprocess.Popen[bytes]", port: int, until: float) -> tuple[int, str]:
    "Waits until a server is ready, and sends Ctrl-C: exit code and note."
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as reply:
            assert reply.status == 200
            code = end(process, signal.SIGINT, 60)
            return (1, "Ctrl-C does not end it") if code is None else (0, f"ready, and ended by Ctrl-C with {code}")
        time.sleep(0.5)
    return process.poll() or 1, "never ready"


def run(target: str, folder: Path, bench: Path, limit: float) -> Ran:
    "Runs a target in a clone of its own; its output is kept beside the clone."
    if lacks := lacking(target, bench):
        return Ran(target, None, 0, lacks)
    clone, log = folder / target / "ragwb", folder / f"{target}.log"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = surroundings(folder / "home", bench) | {"RAGWB_PORT": str(port)} | VARIABLES.get(target, {})
    begun, note = time.monotonic(), ""
    with log.open("wb") as said:
        process = subprocess.Popen(["make", target], cwd=clone, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        try:
            if target == "serve":
                code, note = served(process, port, begun + limit)
            else:
                code = process.wait(limit)
        except subprocess.TimeoutExpired:
            code, note = 1, f"not done after {limit:.0f} s"
        finally:
            end(process, signal.SIGKILL, 10)
    if target in REFUSED:
        told = REFUSED[target] in log.read_text("utf-8", "replace")
        code, note = (0, f"refused as it should be: {REFUSED[target]}") if code and told else (1, "does not say which variable it needs")
    return Ran(target, code, time.monotonic() - begun, note)


def main() -> None:
    "Runs the targets that are named, or all."
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("targets", nargs="*", metavar="TARGET", help="else all that make help lists")
    options.add_argument("--bench", type=Path, default=ROOT.parent / "shared/bench", help="folder of the public data that make quality needs")
    options.add_argument("--limit", type=float, default=7_200, help="seconds that a target may take")
    given, known = options.parse_args(), listed()
    if unknown := sorted(set(given.targets) - set(known)):
        options.error(f"make help does not list {', '.join(unknown)}")
    print("| target | exit code | seconds | |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="targets-", ignore_cleanup_errors=True) as place:
        failed = []
        for target in given.targets or known:
            ran = run(target, Path(place), given.bench.resolve(), given.limit)
            print(f"| {ran.target} | {'not run' if ran.code is None else ran.code} | {ran.seconds:.0f} | {ran.note} |", flush=True)
            failed += [target] if ran.failed else []
        for target in failed:
            lines = (Path(place) / f"{target}.log").read_text("utf-8", "replace").splitlines()
            print(f"\n--- make {target}\n" + "\n".join(lines[-40:]), file=sys.stderr)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
