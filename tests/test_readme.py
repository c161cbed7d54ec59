"README fits one screen, and every command in it is run as it is given there."

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from markdown_it import MarkdownIt
from notebooks import ROOT

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = [(token.info, token.content) for token in MarkdownIt().parse(README) if token.type == "fence"]
COMMANDS = [line for info, text in BLOCKS if not info for line in text.splitlines()]
LEAVE = "Up to five days of annual leave can be carried over until 31 March."


def test_one_screen():
    assert len(README.splitlines()) <= 90
    assert len(re.findall(r"!\[", README)) == 1


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    "A checkout whose environment is the one of these tests, a home with a folder of documents, and README's model.json."
    folder = tmp_path / "ragwb"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "settings.ini", "experiments"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.prefix) / "bin")
    (folder / ".venv/.installed").touch()  # so that make installs nothing
    (tmp_path / "Documents/handbook").mkdir(parents=True)
    (tmp_path / "Documents/handbook/leave.txt").write_text(LEAVE)
    (model,) = (text for info, text in BLOCKS if info == "json")
    (folder / "model.json").write_text(model)
    return folder


@contextmanager
def running(command: str, folder: Path) -> Iterator[str]:
    "A command that ends in a server, and the server's address; Ctrl-C ends it."
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("RAGWB_", "DEMO_", "MAKE"))}
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(["bash", "-c", command], cwd=folder, env=plain | {"HOME": str(folder.parent), "RAGWB_PORT": str(port)},
                                   stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 240
        while True:
            try:
                httpx.get(f"{address}/readyz").raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None and time.monotonic() < until, f"{process.poll()}: {(folder / 'said').read_text()}"
                time.sleep(0.2)
        yield address
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise


def asked(address: str, question: str) -> dict:
    "A server's answer."
    return httpx.post(f"{address}/v1/query", json={"question": question}, timeout=120).raise_for_status().json()


@pytest.mark.slow
def test_demo(checkout):
    assert COMMANDS[0] == "make demo"
    with running(COMMANDS[0], checkout) as address:
        said = (checkout / "said").read_text()
        assert "56 new, 0 changed, 0 unchanged, 0 failed" in said and said.count("? ") >= 3
        assert asked(address, "What does the seal kit K7-120-V cost?")["citations"]
        assert "<title>" in httpx.get(f"{address}/", follow_redirects=True).text


def test_your_own_files(checkout):
    with running(COMMANDS[1], checkout) as address:
        answer = asked(address, "How many days of leave can be carried over?")
        assert [citation["quote"] for citation in answer["citations"]] == [LEAVE]


def test_a_language_model(checkout):
    "No server of that model runs here, so its fallback answers."
    config = json.loads((checkout / "model.json").read_text())
    subprocess.run([checkout / ".venv/bin/ragwb", "ingest", checkout.parent / "Documents/handbook"], cwd=checkout, check=True, capture_output=True)
    with running(COMMANDS[2], checkout) as address:
        answer = asked(address, "How many days of leave can be carried over?")
    assert answer["citations"] and answer["model"] == config["fast"]["fallbacks"][0]


def test_the_sample_is_as_large_as_it_is_said_to_be():
    documents = sum(path.is_file() for path in (ROOT / "experiments/data/sample/docs").rglob("*"))
    for page in ("README.md", "nbs/index.ipynb", "nbs/guides/01_first_answer.ipynb", "CHANGELOG.md"):
        assert re.findall(r"sample company of (\d+) documents", (ROOT / page).read_text("utf-8")) == [str(documents)], page


def test_no_other_commands():
    assert len(COMMANDS) == 3, f"a command that no test here runs: {COMMANDS[3:]}"
