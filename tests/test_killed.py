"""SIGKILL at random instants of an upload, an ingestion, a deletion, a promotion and a change of settings: what was acknowledged is there, once and whole, and nothing
is left behind. A hundred instants, twenty of each kind; `-rP` shows the counts."""

import inspect
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from test_faults import chunk_ids, content_hash, due, opened

from ragwb.generation.discovery import ModelChoice
from ragwb.operations.config_registry import Registry
from ragwb.operations.keys import AccessError, KeyStore
from ragwb.settings import Settings
from ragwb.storage.folder import Folder, drop_halves, drop_passing
from ragwb.workbench import Workbench

KILLS = 20  # of each kind
KINDS = ("upload", "ingest", "delete", "promote", "settings")
FAULTS = ("lost", "duplicated", "half-visible", "left behind")

WORKER = """
import sys
from pathlib import Path
from ragwb.settings import Settings
from ragwb.storage.folder import Folder
home, kind, first = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
settings = Settings(home=home, workers=1, model_servers="")
if kind == "upload":
    from fastapi.testclient import TestClient
    from ragwb.app.server import create_server
    client = TestClient(create_server(settings), base_url="http://127.0.0.1")
    def work(n):
        files = [("files", (f"{n:05}-{part}.md", text_of(n, part))) for part in "ab"]
        client.post("/v1/documents", files=files).raise_for_status()
elif kind == "ingest":
    from ragwb.workbench import Workbench
    workbench = Workbench(settings)
    def work(n):
        folder = home.parent / "folders" / str(n)
        folder.mkdir(parents=True, exist_ok=True)
        for part in "ab":
            (folder / f"{n:05}-{part}.md").write_bytes(text_of(n, part))
        workbench.ingest_paths([folder])
elif kind == "delete":
    from ragwb.workbench import Workbench
    workbench = Workbench(settings)
    work = lambda n: workbench.delete([f"{n:05}-a.md", f"{n:05}-b.md"])
elif kind == "promote":
    from ragwb.config import PipelineConfig
    from ragwb.operations.config_registry import Registry
    registry = Registry(Folder(home))
    work = lambda n: registry.move("production", registry.add(PipelineConfig(max_sentences=n + 1)), n)
else:
    from ragwb.config import ModelConfig
    from ragwb.generation.discovery import ModelChoice
    from ragwb.operations.keys import KeyStore, add_key
    choice, store = ModelChoice(Folder(home)), KeyStore(Folder(home))
    def work(n):
        store.change(lambda ring: add_key(ring, f"key {n}"))
        choice.choose(ModelConfig(model=f"openai:model-{n}"))
print("ready", flush=True)
for n in range(first, 100_000):
    work(n)
    print(n, flush=True)
"""


def text_of(n: int, part: str) -> bytes:
    "A document of some chunks."
    return f"# Pump {n} {part}\n\n".encode() + "\n\n".join(f"Pump {n}{part} line {row} takes {row} N m of torque." for row in range(60)).encode()


def kill_one(home: Path, kind: str, first: int, rng: random.Random, gap: float) -> tuple[int, float]:
    "Lets a process work from a number on, and kills it at a random instant: the first number that it has not acknowledged, and the time of one piece of work."
    begun = [sys.executable, "-c", inspect.getsource(text_of) + WORKER, str(home), kind, str(first)]
    process = subprocess.Popen(begun, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said: list[tuple[str, float]] = []
    reader = threading.Thread(target=lambda: said.extend((line.strip(), time.monotonic()) for line in process.stdout or ()))
    reader.start()
    patience, wanted = time.monotonic() + 300, rng.randint(1, 4)  # "ready", and so many acknowledgements
    while len(said) < wanted:
        assert process.poll() is None and time.monotonic() < patience, process.stderr and process.stderr.read()
        time.sleep(0.002)
    time.sleep(rng.uniform(0, gap))
    process.kill()
    process.wait(60)
    reader.join(60)
    assert said[0][0] == "ready"
    took = (said[-1][1] - said[0][1]) / (len(said) - 1) if len(said) > 1 else gap
    return int(said[-1][0]) + 1 if len(said) > 1 else first, took


def partial(home: Path) -> list[str]:
    "What a killed process may leave: partial files, and what an upload passes through."
    return [path.relative_to(home).as_posix() for path in home.rglob("*") if path.name.endswith(".part") or path.name.startswith("passing-")]


def judged_documents(home: Path, here: set[int], gone: set[int], doubtful: int) -> Counter[str]:
    "What is wrong with the documents: those of some numbers must be there, those of others not; the one that was being worked on may be either, but whole."
    collection, found = opened(home), Counter[str]()
    infos = collection.documents()
    ids, chunks, wanted = [info.id for info in infos], chunk_ids(collection), due(collection)
    found["duplicated"] = len(ids) - len(set(ids)) + sum(len(each) - len(set(each)) for each in chunks.values())
    found["half-visible"] = sum(sorted(chunks.get(id, [])) != wanted.get(id) for id in {*chunks, *wanted})
    found["half-visible"] += sum(content_hash(collection.originals.read(info) or b"") != info.content_hash for info in infos)
    names = {f"{n:05}-{part}.md" for n in here for part in "ab"}
    found["lost"] = len(names - set(ids) - {f"{doubtful:05}-{part}.md" for part in "ab"})
    found["left behind"] = sum(int(id[:5]) in gone for id in ids)
    return found


def left_originals(home: Path) -> int:
    "Originals that belong to no document."
    known = {info.content_hash for info in opened(home).documents()}
    return sum(path.name.partition(".")[0] not in known for path in (home / "documents" / "default").glob("*"))


def judged_moves(home: Path, acknowledged: int) -> Counter[str]:
    "What is wrong with the moves of an alias."
    registry, found = Registry(Folder(home)), Counter[str]()
    moves = registry.history("production")
    found["lost"], found["duplicated"] = max(0, acknowledged - len(moves)), max(0, len(moves) - acknowledged - 1)
    found["half-visible"] = sum((move.number, registry.load(move.config).max_sentences) != (at + 1, at + 1) for at, move in enumerate(moves))
    return found


def judged_settings(home: Path, acknowledged: int) -> Counter[str]:
    "What is wrong with the keys and the chosen model."
    found = Counter[str]()
    try:
        names = Counter(key.name for key in (KeyStore(Folder(home)).look()[0]).keys)  # type: ignore[union-attr]
    except AccessError:
        return Counter({"half-visible": 1})
    found["lost"] = sum(f"key {n}" not in names for n in range(acknowledged))
    role = ModelChoice(Folder(home))()
    known = int(re.sub(r"\D", "", role.model)) if role else -1
    found["lost"] += known < acknowledged - 1
    found["duplicated"] = sum(count > 1 + (name == f"key {n}" and count == 2) for n, (name, count) in enumerate(names.items()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random_instants(kind: str, tmp_path: Path) -> None:
    home, rng, next_one, gap = tmp_path / "home", random.Random(f"{kind} 13"), 0, 0.5
    found, kills, acknowledged = Counter[str](), 0, 0
    if kind in ("upload", "ingest", "delete"):
        many = 100 if kind == "delete" else 1
        Workbench(Settings(home=home, workers=1)).ingest_files([(f"{n:05}-{part}.md", text_of(n, part)) for n in range(many) for part in "ab"])
        next_one = 0 if kind == "delete" else 1
    for _ in range(KILLS):
        first = next_one
        next_one, gap = kill_one(home, kind, first, rng, gap)
        kills, acknowledged = kills + 1, acknowledged + next_one - first
        if kind in ("upload", "ingest"):
            found += judged_documents(home, set(range(next_one)), set(), next_one)
        elif kind == "delete":
            found += judged_documents(home, set(range(next_one, 100)), set(range(next_one)), next_one)
        else:
            found += judged_moves(home, next_one) if kind == "promote" else judged_settings(home, next_one)
            if kind == "promote":
                next_one = len(Registry(Folder(home)).history("production"))  # the one in doubt has come to pass, or not
    drop_passing(home)  # as a server does when it starts
    drop_halves(home)
    if kind in ("upload", "ingest", "delete"):
        workbench = Workbench(Settings(home=home, workers=1))
        workbench.ingest_files([("99999-a.md", text_of(99_999, "a"))])  # the next commit sweeps up
        if kind == "delete":
            workbench.delete([f"{next_one:05}-{part}.md" for part in "ab"])
        found["left behind"] += left_originals(home)
    found["left behind"] += len(partial(home))
    row = " | ".join(str(found[fault]) for fault in FAULTS)
    print(f"| {kind} | {kills} | {acknowledged} | {row} |", f"| left: {partial(home)[:5]}" if partial(home) else "")
    assert {fault: found[fault] for fault in FAULTS} == dict.fromkeys(FAULTS, 0)
    assert acknowledged >= KILLS // 4, "it was killed before it worked"
