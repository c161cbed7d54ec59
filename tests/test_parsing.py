"""What no notebook can show of parsing: hostile files, processes that die, folders as they are found."""

import io
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docx
import openpyxl
import psutil
import pytest

from ragwb.documents import parsing
from ragwb.documents.document import Document, DocumentError
from ragwb.documents.files import find_files, safe_name
from ragwb.documents.parsing import Limits, parse
from ragwb.ingestion import processes
from ragwb.ingestion.preparation import Prepared
from ragwb.ingestion.processes import CREW, Budget, Deadlines, Worker, died, memory_peak, parse_many

CRASHING = """
import os, time
import ragwb.ingestion.processes as processes
import ragwb.ingestion.preparation as preparation
sound = preparation.parse
def parse(data, id, *given):
    if "crash" in id: os.abort()
    if "leave" in id: os._exit(3)
    if "memory" in id: bytearray(10_000_000_000)
    if "slow" in id: time.sleep(60)
    print("a library that prints")
    return sound(data, id, *given)
preparation.parse = parse
processes.serve()
"""


def word_file(text: str = "The seal cover takes 12 Nm.") -> bytes:
    file, document = io.BytesIO(), docx.Document()
    document.add_paragraph(text)
    document.save(file)
    return file.getvalue()


def zipped(**entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), data)
    return file.getvalue()


def by_id(results: Iterator[Document | DocumentError]) -> dict[str, Document | DocumentError]:
    return {result.id if isinstance(result, Document) else result.document: result for result in results}


WORD = word_file()
NOISE = random.Random(0).randbytes(5000)
BAD = {
    "empty.pdf": (b"", "an empty file"),
    "blank.txt": (b" \n\t\n", "no text"),
    "report.pdf": (b"<!DOCTYPE html><title>Sign in</title>", "its content is not"),
    "letter.docx": (b"Dear all,", "its content is not"),
    "notes.rtf": (b"no rtf at all", "its content is not"),
    "letter.doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "before 2007"),
    "secret.docx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "password"),
    "tool.xyz": (b"some text", "unknown format '.xyz'"),
    "README": (b"some text", "no extension"),
    "photo.md": (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    "files.docx": (zipped(a=b"1"), "ZIP archive of other files"),
    "cut.docx": (WORD[:60], "damaged archive"),
    "hollow.docx": (zipped(word__document_xml=b"<a/>"), "cannot be read as docx"),
    "hollow.xlsx": (zipped(xl__workbook_xml=b"<a/>"), "cannot be read as xlsx"),
    "hollow.epub": (zipped(**{"META-INF__container_xml": b"<a"}), "no package file"),
    "bomb.docx": (zipped(word__document_xml=bytes(60_000_000)), "unpacks from"),
    "noise.txt": (NOISE, "binary data"),
    "noise.csv": (NOISE, "binary data"),
    "noise.html": (NOISE, "binary data"),
    "mark.txt": (b"\xff\xfe" + b"\x00\xd8" * 3, "begins like utf-16"),
    "wrong.json": (b'{"a": }', "no valid JSON"),
    "deep.json": (b"[" * 200_000, "nested too deeply"),
    "bad.jsonl": (b'{"a": 1}\nnothing\nneither\n', "line 2 is no JSON value"),
    "nothing.json": (b"{}", "no text"),
    "script.html": (b"<html><body><script>x()</script></body></html>", "no text"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_its_reason(name: str) -> None:
    data, reason = BAD[name]
    with pytest.raises(DocumentError, match=reason) as caught:
        parse(data, name)
    assert caught.value.document == name


def test_content_decides_where_it_has_a_signature() -> None:
    for name in ("note.pdf", "note.txt", "note"):
        assert parse(WORD, name).format == "docx"


def test_every_truncation_and_flipped_byte_is_a_document_or_an_error() -> None:
    book, file, draw = openpyxl.Workbook(), io.BytesIO(), random.Random(1)
    book.active.append(["a", "b"])
    book.save(file)
    samples = {"a.docx": WORD, "a.xlsx": file.getvalue(),
               "a.html": b"<p>x<table><tr><td>1<td>2</table>" * 3, "a.eml": b"From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nhi\n",
               "a.rtf": rb"{\rtf1 a\par \b b\'e4}", "a.json": b'{"a": [1, {"b": "\\ud800"}]}', "a.md": b"---\na: [b\n---\n# c\n> d\n"}
    for name, data in samples.items():
        for _ in range(25):
            spoiled = bytearray(data[: draw.randrange(1, len(data) + 1)] if draw.random() < 0.3 else data)
            spoiled[draw.randrange(len(spoiled))] = draw.randrange(256)
            try:
                document = parse(bytes(spoiled), name)
                (document.text + document.maps()).encode("utf-8")
            except DocumentError:
                continue


def test_halves_of_surrogates_reach_no_storage() -> None:
    for name, data in {"a.json": b'{"a\\ud800": "x \\ud800"}', "a.md": b'---\ntitle: "x \\ud800"\n---\n# x\n', "a.rtf": rb"{\rtf1 x \u-10240?}"}.items():
        document = parse(data, name)
        assert "x" in document.text
        (document.text + document.maps()).encode("utf-8")


def test_text_is_canonical_as_it_is() -> None:
    text = "\tone\r\ntwo\rthree\u00a0 \n\n\nünf\n"
    assert parse(b"\xef\xbb\xbf" + text.encode(), "a.txt").text == text
    assert parse(text.encode("utf-16"), "a.md").text == text
    latin = parse("Die Größe der Dichtung, geprüft in Köln".encode("cp1252"), "a.txt")
    assert (latin.text, latin.metadata["encoding"]) == ("Die Größe der Dichtung, geprüft in Köln", "cp1252")


def test_a_sparse_file_of_200_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    before = time.perf_counter()
    (result,) = parse_many([("huge.txt", path)])
    assert isinstance(result, DocumentError) and "200,000,000 bytes, and 100,000,000 are allowed" in result.reason
    assert time.perf_counter() - before < 5


def test_a_million_rows() -> None:
    short = parse(b"n,v\n" + b"".join(b"%d,%d\n" % (n, n % 7) for n in range(200_000)), "short.csv", Limits(max_characters=4_000_000))
    assert short.text.endswith("n: 199999 | v: 2") and short.text.count("\n") == 199_999
    wide = b"serial number,inspection result\n" + b"".join(b"%d,passed\n" % n for n in range(1_000_000))
    before = time.process_time()
    with pytest.raises(DocumentError, match="more than 500,000 characters of text .split the file, or raise the limit max_characters"):
        parse(wide, "wide.csv", Limits(max_characters=500_000))
    assert time.process_time() - before < 5  # reads no further than the limit; all of it would take 20 s


def test_a_stray_cell_does_not_end_the_process() -> None:
    book, file = openpyxl.Workbook(), io.BytesIO()
    book.active["A1"], book.active["XFD1048576"] = "a", "b"
    book.save(file)
    assert parse(file.getvalue(), "stray.xlsx").text == "Sheet\n\na\n\nb"


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[psutil.Process]]:
    "Workers that crash, and a list of those there are: servers and zombies that other tests have left to this process are none."
    monkeypatch.setattr(Worker, "command", (sys.executable, "-P", "-c", CRASHING))
    CREW.dismiss()
    others = {child.pid for child in psutil.Process().children()}
    return lambda: [child for child in psutil.Process().children() if child.pid not in others]


def test_a_dying_worker_fails_its_document_only(workers: Callable[[], list[psutil.Process]]) -> None:
    names = ["a.docx", "crash.docx", "b.docx", "leave.docx", "memory.docx", "c.docx"]
    results = by_id(parse_many([(name, WORD) for name in names], workers=2, limits=Limits(max_memory=3_000_000_000)))
    assert {name for name, result in results.items() if isinstance(result, Document)} == {"a.docx", "b.docx", "c.docx"}
    assert "SIGABRT" in results["crash.docx"].reason  # type: ignore[union-attr]
    assert "exit code 3" in results["leave.docx"].reason  # type: ignore[union-attr]
    CREW.dismiss()
    assert len(results) == 6 and not workers()


def test_a_killed_worker_fails_its_document_only(workers: Callable[[], list[psutil.Process]]) -> None:
    def kill() -> None:
        while not (found := workers()):
            time.sleep(0.05)
        time.sleep(0.7)
        found[0].kill()

    threading.Thread(target=kill, daemon=True).start()
    results = by_id(parse_many([("slow.docx", WORD), ("a.docx", WORD)], workers=1))
    assert "SIGKILL" in results["slow.docx"].reason  # type: ignore[union-attr]
    assert isinstance(results["a.docx"], Document)


def test_a_time_out_fails_its_document_only(workers: Callable[[], list[psutil.Process]]) -> None:
    before = time.perf_counter()
    results = by_id(parse_many([("slow.docx", WORD), ("a.docx", WORD), ("b.md", b"# b")], workers=1, limits=Limits(timeout_s=4)))
    assert results["slow.docx"].reason == "took longer than 4 s"  # type: ignore[union-attr]
    assert isinstance(results["a.docx"], Document) and isinstance(results["b.md"], Document)
    CREW.dismiss()
    assert time.perf_counter() - before < 8.5 and not workers()  # a watchdog in the worker would act at 9


def test_leaving_early_stops_the_workers(workers: Callable[[], list[psutil.Process]]) -> None:
    results = parse_many([("b.md", b"# b"), *((f"slow{n}.docx", WORD) for n in range(9))], workers=2)
    assert isinstance(next(results), Document)
    before = time.perf_counter()
    results.close()  # type: ignore[attr-defined]
    assert time.perf_counter() - before < 3
    CREW.dismiss()
    assert not workers()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_a_killed_parent_leave_no_process(tmp_path: Path, end: signal.Signals) -> None:
    script = tmp_path / "unguarded.py"  # no `if __name__ == "__main__"`: workers must not import it
    script.write_text(textwrap.dedent("""
        import sys
        from ragwb.documents.parsing import Limits
        from ragwb.ingestion.processes import Worker, parse_many
        Worker.command = (sys.executable, "-P", "-c", sys.argv[1])
        list(parse_many([(f"slow{n}.docx", open(sys.argv[2], "rb").read()) for n in range(4)], workers=2, limits=Limits(timeout_s=30)))
    """))
    (tmp_path / "a.docx").write_bytes(WORD)
    program = subprocess.Popen([sys.executable, script, CRASHING, tmp_path / "a.docx"], stderr=subprocess.PIPE, text=True)
    children: list[psutil.Process] = []
    while len(children) < 2:
        assert program.poll() is None, program.communicate()[1]
        time.sleep(0.05)
        children = psutil.Process(program.pid).children()
    before = time.perf_counter()
    program.send_signal(end)
    assert program.wait(10) != 0
    assert time.perf_counter() - before < 5
    assert not psutil.wait_procs(children, timeout=5)[1]


def test_memory_stays_bounded_and_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, most, told = 0, 0, []
    run = Worker.run

    def counted(self: Worker, *task: object) -> Prepared | DocumentError:
        nonlocal begun
        begun += 1
        return run(self, *task)  # type: ignore[arg-type]

    monkeypatch.setattr(Worker, "run", counted)
    for taken, _ in enumerate(parse_many([(f"{n}.docx", WORD) for n in range(12)], workers=1, progress=lambda done, total: told.append((done, total)))):
        time.sleep(0.1)  # a consumer slower than the parser
        most = max(most, begun - taken)
    assert most <= 3 and told == [(n, 12) for n in range(1, 13)]


def test_the_memory_of_a_user_in_many_groups_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tpython\nGroups:\t{' '.join(map(str, range(1_000_000, 1_001_000)))}\nVmHWM:\t   12345 kB\nVmRSS:\t   12 kB\n")
    monkeypatch.setattr(processes, "open", lambda path, *how, **more: open(status, *how, **more), raising=False)  # noqa: SIM115
    assert memory_peak() == 12_345 * 1_024


def test_a_deadline_whose_thread_cannot_start_kills_no_later_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    deadlines, process = Deadlines(), subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="new thread"):
        patched.setattr(threading.Thread, "start", refused)
        with deadlines.killed_after(process, 0.2):
            pass
    with deadlines.killed_after(process, 30) as late, pytest.raises(subprocess.TimeoutExpired):  # the next job of the same worker
        process.wait(0.6)
    process.kill()
    process.communicate()
    assert not late.is_set() and process.returncode == -signal.SIGKILL and not deadlines.open


def test_deadlines_hold_after_a_fork() -> None:
    script = textwrap.dedent("""
        import os, subprocess, sys, time
        from ragwb.ingestion.processes import DEADLINES

        def late(limit, seconds):
            process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
            with DEADLINES.killed_after(process, limit) as event:
                try:
                    process.wait(seconds)
                except subprocess.TimeoutExpired:
                    pass
            process.kill()
            process.communicate()
            return event.is_set()

        late(20, 0.3)  # its thread waits from now on
        if child := os.fork():
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        late(20, 0.3)  # and its own
        os._exit(0 if late(0.2, 8) else 9)
    """)
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0


def test_a_deadline_may_be_further_away_than_a_clock_can_wait() -> None:
    deadlines, process = Deadlines(), subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with deadlines.killed_after(process, 1e10), pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    assert deadlines.thread.is_alive()
    with deadlines.killed_after(process, 0.2) as late:
        process.wait(8)
    process.communicate()
    assert late.is_set()


def test_a_worker_that_its_own_alarm_ended_took_too_long() -> None:
    error = died("a.pdf", Budget(1, 4, 1, 1), -signal.SIGALRM, io.BytesIO(), late=False)
    assert (error.reason, error.hint) == ("took longer than 4 s", "the limit is timeout_s")


def test_imports_of_a_worker_are_light() -> None:
    heavy = ("lancedb", "langchain_core", "pandas", "pyarrow", "docx", "charset_normalizer")
    code = f"import sys, ragwb.ingestion.processes, ragwb.guardrails.scan, ragwb.documents.word\nprint([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/../../b.md", "..\\..\\boot.ini", "/etc/passwd", "\\\\server\\share\\a.md", "C:\\a.md", "c:a.md",
                                  "a\0.md", "a\n.md", "", " ", ".", "..",
                                  "...", "a/. ./b.md", "con", "sub/NUL.txt", "x" * 256, "a/" * 600 + "b.md", "\u202efdp.exe", "\ud800.md"])
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(DocumentError):
        safe_name(name)


def test_safe_names_keep_their_words_and_folders(tmp_path: Path) -> None:
    for name, kept in {"Prüfung/报告 2025.pdf": "Prüfung/报告 2025.pdf", "a\\b.md": "a/b.md",
                        "./a//b.md": "a/b.md", "e\u0301.md": "é.md", "..a..b.md": "..a..b.md", "console.md": "console.md"}.items():
        assert safe_name(name) == kept
        assert (tmp_path / kept).resolve().is_relative_to(tmp_path)


def test_find_files(tmp_path: Path) -> None:
    for name in ("b.md", "a/e\u0301.md", ".hidden/c.md", "d.exe", "~$e.docx", "a/.f.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.md")
    found = find_files([tmp_path])
    assert [id for id, _ in found.files] == ["a/é.md", "b.md"]
    assert sorted(reason for _, reason in found.skipped) == ["a link to a folder", "hidden", "hidden", "hidden", "no regular file", "unknown format .exe"]
    assert find_files([tmp_path / "b.md", tmp_path]).files == found.files
    assert [id for id, _ in find_files([tmp_path / "d.exe"]).files] == ["d.exe"]
    with pytest.raises(DocumentError, match="no such file"):
        find_files([tmp_path / "nowhere"])
    (tmp_path / "a" / "b.md").write_text("y")
    with pytest.raises(DocumentError, match="two files would have this id"):
        find_files([tmp_path, tmp_path / "a"])


def test_every_format_has_a_parser() -> None:
    from ragwb.documents.files import FORMATS

    assert set(FORMATS.values()) == set(parsing.PARSERS)
