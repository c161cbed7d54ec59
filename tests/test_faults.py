"""What goes wrong around the program: kill -9, Ctrl-C, a full disk, lost files, two writers, odd names. Real processes, real files."""

import errno
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lancedb
import psutil
import pytest
from click.testing import CliRunner
from filelock import FileLock
from reportlab.pdfgen import canvas

from ragwb.answering import steps
from ragwb.answering.answer_store import AnswerError, AnswerStore
from ragwb.answering.pipeline import Answer
from ragwb.cli import main
from ragwb.config import PipelineConfig
from ragwb.indexing import maintenance
from ragwb.indexing.chunking import chunk
from ragwb.indexing.collection import Collection, all_chunks
from ragwb.indexing.schema import CollectionError, describe, schema
from ragwb.indexing.table import Table, count_rows, versions_of
from ragwb.ingestion.sources import content_hash
from ragwb.retrieval.search import Snapshot
from ragwb.settings import Settings
from ragwb.storage.bucket import objects
from ragwb.storage.folder import RESERVE
from ragwb.workbench import Workbench

# the command line, with a commit every few documents
SMALL_COMMITS = "import sys, ragwb.ingestion.batches; ragwb.ingestion.batches.BATCH_CHARACTERS = 6_000; from ragwb.cli import main; main(sys.argv[1:])"


def text_of(n: int, version: int) -> str:
    parts = [f"Pump {n} of series {version}-{part} takes {n * 7 + part} N m at the flange." + " It is checked every spring." * 12 for part in range(3 + version)]
    return f"# Pump {n}\n\n" + "\n\n".join(parts)


def make(folder: Path, n: int, version: int = 0) -> None:
    "Writes document n of the corpus: Markdown, every fourth a CSV, every twelfth a PDF."
    folder.mkdir(exist_ok=True)
    if n % 12 == 3:
        page = canvas.Canvas(str(folder / f"{n:02}.pdf"), invariant=1)
        for line in range(5 + version):
            page.drawString(72, 720 - 20 * line, f"Valve {n} of series {version}-{line} opens at {n + line} bar.")
        page.save()
    elif n % 4 == 3:
        (folder / f"{n:02}.csv").write_text("part,torque\n" + "".join(f"A{n}-{version}{row:02},{row} N m\n" for row in range(40)))
    else:
        (folder / f"{n:02}.md").write_text(text_of(n, version))


def corpus(folder: Path, count: int = 60) -> Path:
    for n in range(count):
        make(folder, n)
    return folder


def start(home: Path, *words: str | Path, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", SMALL_COMMITS, *map(str, words)], env=os.environ | {"RAGWB_HOME": str(home), "NO_COLOR": "1"}, text=True, cwd=home.parent,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def call(home: Path, *words: str | Path) -> tuple[int, str, str]:
    "As `run`, in this process, which has imported everything already."
    done = CliRunner().invoke(main, list(map(str, words)), env={"RAGWB_HOME": str(home)})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def run(home: Path, *words: str | Path, **options: Any) -> tuple[int, str, str]:
    "Exit code, standard output, standard error of a command in a process of its own."
    process = start(home, *words, **options)
    said = process.communicate(timeout=60)
    return process.returncode, *said


def refused(result: tuple[int, str, str], *parts: str) -> None:
    "It failed with exit code 1 and one line that says these things."
    code, out, error = result
    assert (code, out, error.startswith("Error: "), error.count("\n")) == (1, "", True, 1), result
    for part in parts:
        assert part in error


def opened(home: Path) -> Collection:
    return Workbench(Settings(home=home)).store.open("default")


def chunk_ids(collection: Collection) -> dict[str, list[str]]:
    "The ids of the chunks of every document, as one snapshot has them."
    found: dict[str, list[str]] = {}
    snapshot = Snapshot(*all_chunks(collection))
    for id, document in zip(snapshot.ids, snapshot.rows["document"].to_pylist() if snapshot.ids else [], strict=True):
        found.setdefault(document, []).append(id)
    return found


def due(collection: Collection) -> dict[str, list[str]]:
    "The chunk ids that the stored documents must have."
    documents = [collection.document(info.id) for info in collection.documents()]
    return {document.id: sorted(f"{document.id}#{piece.start}-{piece.end}" for piece in chunk(document, collection.chunking)) for document in documents}


def processes(home: Path) -> list[psutil.Process]:
    "Those that work on a data folder."
    def of_home(process: psutil.Process) -> bool:
        try:
            return process.environ().get("RAGWB_HOME") == str(home)
        except psutil.Error:
            return False

    return [process for process in psutil.process_iter() if process.pid != os.getpid() and of_home(process)]


def assert_sound(home: Path, folder: Path | None = None) -> None:
    "Every document whole and once, with its original; nothing left over. With a folder: exactly its files, as they are now."
    collection = opened(home)
    infos = collection.documents()
    assert len({info.id for info in infos}) == len(infos)
    assert {id: sorted(ids) for id, ids in chunk_ids(collection).items()} == due(collection)
    originals = sorted(path.name for path in (home / "documents" / "default").glob("*"))
    assert all(content_hash(collection.originals.read(info) or b"") == info.content_hash for info in infos)
    if folder is not None:
        assert {info.id: info.content_hash for info in infos} == {path.name: content_hash(path.read_bytes()) for path in folder.iterdir()}
        assert sorted({name.partition(".")[0] for name in originals}) == sorted({info.content_hash for info in infos})
        assert not list(home.rglob("*.part"))
        with FileLock(home / "locks" / "default.lock", timeout=0):
            pass
    psutil.wait_procs(processes(home), timeout=10)
    assert not processes(home)


def commits(home: Path) -> int:
    return len(list(home.glob("lancedb/default.lance/_versions/*.manifest")))


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def mounted(path: Path, options: str) -> bool:
    return subprocess.run(["mount", *options.split(), str(path)], capture_output=True).returncode == 0 if os.geteuid() == 0 else False


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    "A file system of 2 MB of its own; skipped where none can be mounted."
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mounted(disk, "-t tmpfs -o size=2m tmpfs"):
        pytest.skip("mounting a small file system needs root and CAP_SYS_ADMIN")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow
def test_killed_at_any_instant_and_run_again(tmp_path: Path) -> None:
    folder, home, draw = corpus(tmp_path / "docs"), tmp_path / "home", random.Random(7)
    begun = time.monotonic()
    assert run(tmp_path / "rehearsal", "ingest", folder)[0] == 0
    whole = time.monotonic() - begun
    counts = []
    for attempt in range(12):
        process = start(home, "ingest", folder)
        if attempt % 3 == 2:  # in the midst of the commits, wherever the machine has got to
            target = commits(home) + draw.randrange(1, 4)
            wait_for(lambda target=target, process=process: commits(home) >= target or process.poll() is not None)  # type: ignore[misc]
            time.sleep(draw.random() * 0.05)
        else:
            time.sleep(whole * draw.uniform(0.05, 0.9))
        process.kill()
        process.communicate()
        if (home / "lancedb").exists() and Workbench(Settings(home=home)).collections():
            assert_sound(home)
            counts.append(len(opened(home).documents()))
        for n in draw.sample(range(60), 4):
            make(folder, n, version=attempt % 3 + 1)
    assert any(counts) and commits(home) > 5  # it was killed while it worked
    assert run(home, "ingest", folder)[0] == 0
    assert_sound(home, folder)


def test_what_a_kill_left_goes_although_nothing_is_new(tmp_path: Path) -> None:
    folder, home = corpus(tmp_path / "docs", 2), tmp_path / "home"
    (home / "lancedb" / "default.lance" / "_versions").mkdir(parents=True)  # killed while the table was made
    assert call(home, "ask", "Which pump?")[2].startswith("Error: no collection 'default'")
    assert call(home, "ingest", folder)[0] == 0
    for name in (".c0ffee.1.part", "c0ffee.md"):  # killed while an original was written, or before its commit
        (home / "documents" / "default" / name).write_text("left over")
    assert call(home, "ingest", folder)[1].startswith("0 new, 0 changed, 2 unchanged")
    assert_sound(home, folder)


def test_ctrl_c_is_one_line_and_what_was_committed_stands(tmp_path: Path) -> None:
    folder, home = corpus(tmp_path / "docs"), tmp_path / "home"
    for reached in (lambda: (home / "locks").exists(), lambda: commits(home) >= 4):
        process = start(home, "ingest", folder)
        wait_for(reached)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
        assert (process.returncode, error.strip()) == (130, "stopped; what was committed before is kept")
        if Workbench(Settings(home=home)).collections():
            assert_sound(home)
    assert 0 < len(opened(home).documents()) < 60
    assert run(home, "ingest", folder)[0] == 0
    assert_sound(home, folder)


@pytest.mark.slow
def test_two_writers_and_a_reader_at_once(tmp_path: Path) -> None:
    folder, home = corpus(tmp_path / "docs", 36), tmp_path / "home"
    make(folder, 0)
    assert run(home, "ingest", folder / "00.md")[0] == 0
    workbench, collection = Workbench(Settings(home=home)), opened(home)
    versions: dict[str, list[list[str]]] = {}
    for version in (0, 1):
        for n in range(36):
            make(folder, n, version)
        counted = [start(home, "ingest", folder, "--json") for _ in range(2)]
        seen, asked = [], 0
        while any(process.poll() is None for process in counted):
            seen.append(chunk_ids(collection))
            answer = workbench.ask("What does pump 0 take at the flange?")
            asked += not answer.refused
            time.sleep(0.02)
            for citation in answer.citations:
                n = int(citation.document[:2])
                assert not citation.document.endswith(".md") or citation.quote in text_of(n, 0) + text_of(n, 1)
        reports = [json.loads(process.communicate()[0]) for process in counted]
        assert [process.returncode for process in counted] == [0, 0]
        assert sum(report["new"] + report["changed"] for report in reports) == (35, 36)[version]
        assert_sound(home, folder)
        for id, ids in due(collection).items():
            versions.setdefault(id, []).append(ids)
        for snapshot in seen:
            assert all(ids in versions[id] for id, ids in snapshot.items())
        assert asked and len(seen) > 3


def big(folder: Path) -> Path:
    folder.mkdir()
    for n in range(30):
        (folder / f"{n}.md").write_text(f"# Pump {n}\n\n" + "\n\n".join(f"Part {n}-{part} is painted in colour {part * 7919 % 1000}." + " It lasts." * 30 for part in range(90)))
    return folder


def assert_full(home: Path, folder: Path, **options: Any) -> None:
    "An earlier document is there after a run that found no space."
    assert "one.md" in call(home, "documents", "list")[1]
    refused(run(home, "ingest", folder, **options), "the disk is full: free some space and run the same command again")
    code, listed, _ = call(home, "documents", "list", "--json")
    assert code == 0 and "one.md" in [info["id"] for info in json.loads(listed)]
    assert_sound(home)
    assert not list(home.rglob("*.part"))


def test_disk_full(tiny_disk: Path, tmp_path: Path) -> None:
    folder, home = big(tmp_path / "docs"), tiny_disk / "home"
    one = tmp_path / "one.md"
    one.write_text("# One\n\nThe first takes 42 N m.\n")
    assert call(home, "ingest", one)[0] == 0
    assert_full(home, folder)
    (tiny_disk / "film.avi").write_bytes(b"")
    with (tiny_disk / "film.avi").open("wb", buffering=0) as film:  # to the last byte
        try:
            while film.write(bytes(4096)) == 4096:
                pass
        except OSError:
            pass
    refused(call(home, "ingest", folder), "the disk is full")
    code, told, _ = call(home, "ask", "What does the first take?")
    assert code == 0 and "42 N m" in told and "not kept" in told and "the disk is full" in told
    assert not list(home.rglob("*.part"))
    (tiny_disk / "film.avi").unlink()
    assert mounted(tiny_disk, "-o remount,size=100m")
    assert run(home, "ingest", folder)[1].count(" 0 failed") == 1
    assert "42 N m" in call(home, "ask", "What does the first take?")[1]
    (folder / "one.md").write_bytes(one.read_bytes())
    assert_sound(home, folder)


def test_a_deletion_on_a_full_disk_takes_nothing_away_or_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workbench = Workbench(Settings(home=tmp_path, workers=1))
    workbench.ingest_files([("one.md", b"# One\n\nThe first takes 42 N m.\n"), ("two.md", b"# Two\n\nThe second takes 43 N m.\n")])
    collection, tries = workbench.store.open("default"), []
    (tmp_path / RESERVE).unlink()  # an earlier deletion has used it

    def full(table: Table, ids: list[str], write_without: Callable[..., None] = maintenance.write_without) -> None:
        tries.append(len(versions_of(table)))
        if len(tries) < 4:  # the second deletion finds room once the earlier versions are gone
            raise RuntimeError("lance error: LanceError(IO): No space left on device (os error 28)")
        write_without(table, ids)

    monkeypatch.setattr(maintenance, "write_without", full)
    with pytest.raises(RuntimeError, match="No space left"):
        workbench.delete(["one.md"])
    assert collection.originals.read(collection.document("one.md")) and len(collection.hashes()) == 2
    assert workbench.delete(["one.md"]) == 1
    assert tries[0] > 1 and tries[3] == 1 and not places_of(b"42 N m", workbench.store.settings)


def test_a_deletion_that_finds_no_room_to_write_a_file_again_takes_its_marks_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workbench = Workbench(Settings(home=tmp_path, workers=1))
    workbench.ingest_files([("one.md", b"# One\n\nThe first takes 42 N m.\n"), ("two.md", b"# Two\n\nThe second takes 43 N m.\n")])
    collection = workbench.store.open("default")

    def full(table: Table) -> int:
        assert count_rows(table, "document = 'one.md'") == 0, "the rows are marked"
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(maintenance, "purge", full)
        maintenance.delete(collection, ["one.md"])
    assert len(collection.hashes()) == 2 and collection.originals.read(collection.document("one.md"))
    assert workbench.delete(["one.md"]) == 1 and not places_of(b"42 N m", workbench.store.settings)


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    folder, home = big(tmp_path / "docs"), tmp_path / "home"
    (tmp_path / "one.md").write_text("# One\n\nThe first takes 42 N m.\n")
    assert call(home, "ingest", tmp_path / "one.md")[0] == 0
    assert_full(home, folder, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (35_000, 35_000)))
    assert run(home, "ingest", folder)[0] == 0
    (folder / "one.md").write_bytes((tmp_path / "one.md").read_bytes())
    assert_sound(home, folder)


def test_a_data_folder_that_cannot_be_written(tiny_disk: Path, tmp_path: Path) -> None:
    folder, home = corpus(tmp_path / "docs", 3), tiny_disk / "home"
    assert call(home, "ingest", folder)[0] == 0
    make(folder, 0, version=1)
    assert mounted(tiny_disk, "-o remount,ro")
    for command in (("ingest", folder), ("documents", "delete", "00.md", "--yes"), ("ingest", folder, "-c", "other")):
        refused(call(home, *command), "Read-only file system", "RAGWB_HOME")
    code, told, _ = call(home, "ask", "What does pump 1 take?")
    assert code == 0 and "7 N m" in told and "not kept" in told
    assert call(home, "documents", "show", "01.md")[0] == 0
    assert mounted(tiny_disk, "-o remount,rw")
    assert call(home, "ingest", folder)[1].startswith("0 new, 1 changed")
    assert_sound(home, folder)


def test_lost_and_damaged_files(tmp_path: Path) -> None:
    folder, home = corpus(tmp_path / "docs", 3), tmp_path / "home"
    refused(call(home, "ask", "What does pump 1 take?"), "no collection 'default'", "ragwb ingest PATH")
    assert call(home, "ingest", folder)[0] == 0
    table = home / "lancedb" / "default.lance"
    manifest = min(table.glob("_versions/*.manifest"))  # the last commit: numbers count down
    (data,) = table.glob("data/*.lance")
    for path in (manifest, data):
        whole = path.read_bytes()
        for content in (whole[: len(whole) // 2], b"", None):
            path.unlink() if content is None else path.write_bytes(content)
            if path == data or content is not None:
                refused(call(home, "ask", "What does pump 1 take?"), "collection 'default' is damaged", "ingest its documents again")
                with pytest.raises(CollectionError, match="damaged"):
                    Workbench(Settings(home=home)).delete(["00.md"])
                make(folder, 0, version=1)
                with pytest.raises(CollectionError, match="damaged"):
                    Workbench(Settings(home=home)).ingest_paths([folder])
                make(folder, 0)
            path.write_bytes(whole)
    assert_sound(home, folder)
    table.rename(home / "aside")  # as the message says
    assert call(home, "ingest", folder)[1].startswith("3 new")
    assert_sound(home, folder)
    (tmp_path / "file").write_text("no folder")
    for command in (("ask", "Why?"), ("ingest", folder), ("documents", "list")):
        refused(call(tmp_path / "file", *command), "is a file", "RAGWB_HOME")


def test_an_index_of_a_newer_version(tmp_path: Path) -> None:
    store = Workbench(Settings(home=tmp_path / "home")).store
    (tmp_path / "home").mkdir()
    store.database.connection.create_table("default", schema=schema(4, describe(PipelineConfig()) | {"format": "99"}))
    for command in (("ask", "Why?"), ("ingest", corpus(tmp_path / "docs", 1)), ("documents", "list")):
        refused(call(tmp_path / "home", *command), "upgrade ragwb")


def test_port_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused(run(tmp_path / "home", "serve", "--port", str(taken.getsockname()[1])), "--port")


def test_questions_of_every_kind(tmp_path: Path) -> None:
    home = tmp_path / "home"
    Workbench(Settings(home=home)).ingest_files([("seals.md", b"# Seals\n\nThe seal A1-990 takes 42 N m.\n"), ("ja.md", "# 休暇\n\n年次休暇は三十日です。\n".encode())])
    refused(call(home, "ask", "Why?", "-c", "nope"), "no collection 'nope'", "there: default")
    for empty in ("", "  \n", "?!", "🙂"):
        refused(call(home, "ask", empty), "the question is empty")
    refused(call(home, "ask", "pump " * 20_000), "100,000 characters", "8,000")
    for question, cited in {"年次休暇は何日ですか": ["ja.md"], "ما هو عزم الدوران؟": [], "Which torque does the A1-990 take? 🙂": ["seals.md"], "' OR 1=1 -- \u202e": []}.items():
        code, out, error = call(home, "ask", question, "--json")
        answer = json.loads(out)
        assert (code, error, answer["question"]) == (0, "", question)
        assert answer["refused"] != bool(cited) and [citation["document"] for citation in answer["citations"]][:1] == cited


def test_one_upload_eight_times_at_once(placed: "Placed") -> None:
    workbench = Workbench(*placed)
    data = text_of(1, 1).encode()
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda _: workbench.ingest_files([("pump.md", data)]), range(8)))
    assert sorted((report.new, report.unchanged) for report in reports) == [(0, 1)] * 7 + [(1, 0)]
    collection = workbench.store.open("default")
    assert len(collection.documents()) == 1 and chunk_ids(collection) == due(collection)
    if not placed[0].storage:
        assert_sound(placed[0].home)


ODD = ["it's.md", 'say "no".md', "100% $HOME `a`.md", "semi;colon, comma.md", "a#0-10.md", "round(er).md", "key=value.md", "Prüfung ß.md", "报告 2025.md", "🙂.md",
       "' OR 'a'='a.md", "--.md", "%.md", "_.md", "x" * 252 + ".md", "é" * 126 + ".md", "sub dir/it's/deep.md"]


def test_odd_names(tmp_path: Path) -> None:
    folder, home = tmp_path / "docs", tmp_path / "home"
    for n, name in enumerate(ODD):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# Pump\n\nThis pump number {n} takes {n + 100} N m.\n")
    assert call(home, "ingest", folder)[1].startswith(f"{len(ODD)} new, 0 changed, 0 unchanged, 0 failed")
    workbench = Workbench(Settings(home=home))
    for n, name in enumerate(ODD):
        assert f"takes {n + 100} N m" in opened(home).document(name).text
        answer = workbench.ask({"question": "What does this pump take?", "where": {"document": name}})
        assert {citation.document for citation in answer.citations} == {name} and f"{n + 100} N m" in answer.text
    for name in ("it's.md", "报告 2025.md"):
        assert call(home, "documents", "show", name)[0] == 0
        assert call(home, "ask", "What does this pump take?", "--where", f"document={name}")[0] == 0
    for left, name in reversed(list(enumerate(ODD))):
        (folder / name).write_text("# Pump\n\nChanged.\n")
        assert workbench.ingest_files([(name, b"# Pump\n\nChanged.\n")]).changed == 1
        assert (workbench.delete([name]), len(opened(home).documents())) == (1, left)
    assert not [path for path in (home / "documents").rglob("*") if path.is_file()]


def places_of(marker: bytes, settings: Settings) -> list[str]:
    "Where some bytes stand: files of the data folder, objects of the storage."
    kept = {str(path): path.read_bytes() for path in settings.home.rglob("*") if path.is_file()}
    storage = objects(settings)
    kept |= {item.key: storage.get(item.key) for item in storage.items("")} if settings.storage else {}
    return [name for name, data in kept.items() if marker in data or marker.lower() in data]


Placed = tuple[Settings, PipelineConfig | None]  # a profile to run in


def test_delete_while_others_ask(placed: Placed) -> None:
    settings, workbench = placed[0], Workbench(*placed)
    secrets = [(f"secret{n}.md", f"# Salary {n}\n\nThe salary of Ms Zyxwvut number {n} is {n}98765 euros.\n".encode()) for n in range(6)]
    workbench.ingest_files([*secrets, *((f"{n}.md", text_of(n, 0).encode()) for n in range(60))])  # one file of the store, of which little is deleted
    question, leaked, stop = "What is the salary of Ms Zyxwvut?", list[BaseException](), threading.Event()
    assert workbench.ask(question).citations and places_of(b"Zyxwvut", settings)

    def ask() -> None:
        own = Workbench(*placed)
        while not stop.is_set():
            try:
                own.ask(question)
            except BaseException as error:
                leaked.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for name, _ in secrets:
        time.sleep(0.1)
        assert workbench.delete([name]) == 1
    stop.set()
    for thread in threads:
        thread.join()
    assert not leaked
    assert not places_of(b"98765", settings)  # her name is in the questions of those who found nothing
    if not settings.storage:
        assert_sound(settings.home)


def test_an_answer_in_the_making_does_not_outlive_its_document(placed: Placed, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, workbench, save = placed[0], Workbench(*placed), AnswerStore.save
    workbench.ingest_files([("secret.md", b"# Salary\n\nMs Zyxwvut has 98765 euros.\n"), ("a.md", text_of(1, 0).encode())])

    def delete_and_save(self: AnswerStore, answer: Answer) -> None:
        workbench.delete(["secret.md"])
        save(self, answer)

    monkeypatch.setattr(AnswerStore, "save", delete_and_save)
    assert "98765" in workbench.ask("What does Ms Zyxwvut have?").text
    assert not places_of(b"98765", settings)


def test_a_read_survives_a_delete_below_it(tmp_path: Path) -> None:
    workbench = Workbench(Settings(home=tmp_path))
    workbench.ingest_files([(f"{n}.md", text_of(n, 0).encode()) for n in range(3)])
    tries = list[int]()

    def query() -> list[str]:
        table = lancedb.connect(str(tmp_path / "lancedb")).open_table("default")  # stays at the version that it was opened at
        tries.append(table.version)
        if len(tries) == 1:
            workbench.delete(["0.md"])
        return sorted(table.search().where("kind = 'document'").limit(None).to_arrow()["id"].to_pylist())

    assert opened(tmp_path).table.read(lambda _: query()) == ["1.md", "2.md"] and len(tries) == 2


@pytest.mark.parametrize("change", ["moved", "shorter", "deleted"])
def test_a_document_changes_while_its_answer_is_made(change: str, placed: Placed, monkeypatch: pytest.MonkeyPatch) -> None:
    old = "# Pump\n\nThe pump needs a torque of 42 N m at the flange.\n"
    new = {"moved": old.replace("The pump", "Some words that came before. " * 3 + "The pump"), "shorter": "# Pump\n\nGone.\n"}
    workbench, other, search, searches = Workbench(*placed), Workbench(*placed), steps.retrieve_screened, list[int]()
    workbench.ingest_files([("pump.md", old.encode())])

    def retrieve_and_change(*given: Any) -> Any:
        hits = search(*given)
        searches.append(1)
        if len(searches) == 1:
            other.delete(["pump.md"]) if change == "deleted" else other.ingest_files([("pump.md", new[change].encode())])
        return hits

    monkeypatch.setattr(steps, "retrieve_screened", retrieve_and_change)
    answer = workbench.ask("What torque does the pump need?")
    assert searches
    assert all("torque of 42 N m" in citation.quote for citation in answer.citations)
    assert answer.citations or answer.refused


def test_a_killed_delete_is_finished_by_the_next(placed: Placed, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, workbench = placed[0], Workbench(*placed)
    workbench.ingest_files([("secret.md", b"# Salary\n\nMs Zyxwvut has 98765 euros.\n"), *((f"{n}.md", text_of(n, 0).encode()) for n in range(40))])
    workbench.ask("What does Ms Zyxwvut have?")

    def killed(table: Table) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("ragwb.indexing.maintenance.drop_history", killed)
        workbench.delete(["secret.md"])
    assert places_of(b"98765", settings)
    assert workbench.delete(["secret.md"]) == 0
    assert not places_of(b"98765", settings)


WRITER = """
import sys
from pathlib import Path
from dataclasses import replace
from ragwb.settings import Settings
from ragwb.storage.bucket import objects
from ragwb.workbench import Workbench
workbench = Workbench(Settings(home=Path(sys.argv[1])))
answer = workbench.ask("What does pump 1 take?")
print("ready", flush=True)
for n in range(int(sys.argv[2])):
    workbench.answers.save(replace(answer, id=f"20260101-000000-{int(sys.argv[3]) + n:08x}", text=answer.text * 500))
"""


def test_answers_of_two_processes_and_a_killed_one(tmp_path: Path) -> None:
    workbench = Workbench(Settings(home=tmp_path))
    workbench.ingest_files([(f"{n}.md", text_of(n, 0).encode()) for n in range(3)])
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), count, begin], stdout=subprocess.PIPE) for count, begin in (("150", "0"), ("100000", "150"))]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline()
    wait_for(lambda: writers[0].poll() is not None)
    writers[1].kill()
    assert [writer.wait(30) for writer in writers] == [0, -signal.SIGKILL]
    records = workbench.answers.recent(100_000)
    assert all(len(record["answer"]) > 500 for record in records if record["id"].startswith("20260101"))
    assert {f"20260101-000000-{n:08x}" for n in range(150)} <= {record["id"] for record in records}
    with pytest.raises(AnswerError):
        workbench.answers.load("20260101-000000-ffffffff")
    with ThreadPoolExecutor(8) as pool:  # and eight people rate one answer at once
        list(pool.map(lambda n: workbench.answers.feedback(records[-1]["id"], "up", str(n)), range(64)))
    assert workbench.answers.load(records[-1]["id"])["feedback"]["rating"] == "up"
