"""Files that cost more than they weigh: what each may cost, what the caller hears, and that everything else goes on."""

import io
import os
import pickle
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient
from hostile_files import FAST, KINDS, VIEWED, WORDS, page

from ragwb.api.routes import create_api
from ragwb.app.server import add_app
from ragwb.app.uploads import UploadBoard, announced
from ragwb.config import ChunkingConfig, GuardrailConfig
from ragwb.documents.document import Document, DocumentError
from ragwb.documents.pdf import parse_pdf
from ragwb.ingestion import page_views
from ragwb.ingestion.preparation import Prepared, Task
from ragwb.ingestion.processes import CREW, Worker, parse_many
from ragwb.settings import Settings
from ragwb.storage.folder import drop_passing, passing_folder
from ragwb.workbench import Workbench

SECONDS, MEMORY = 10, 1_000_000_000  # that a file below a megabyte may cost
GOOD = b"# CX-50\n\nThe seal cover takes 12 Nm.\n"


class Cost:
    "Processor time and memory that worker processes take while this context lasts, and what this process grows by."

    def __init__(self) -> None:
        self.memory, self.seconds, self.own, self.done = 0, 0.0, 0.0, threading.Event()
        self.mine = psutil.Process().memory_info().rss  # of this process, which has run other tests

    @staticmethod
    def workers() -> list[psutil.Process]:
        "The processes that may be workers; servers of other tests are none."
        found, this = [], psutil.Process()
        for child in this.children():
            with suppress(psutil.Error):  # one that has not begun its own program yet shows the memory of this one
                found += [child] if "python" in child.name() and child.cmdline() != this.cmdline() else []
        return found

    def used(self) -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        living = 0.0
        for child in self.workers():
            with suppress(psutil.Error):
                times = child.cpu_times()
                living += times.user + times.system
        return ended.ru_utime + ended.ru_stime + living

    def watch(self) -> None:
        while not self.done.wait(0.02):
            with suppress(psutil.Error):
                self.memory = max(self.memory, psutil.Process().memory_info().rss - self.mine)
            for process in self.workers():
                with suppress(psutil.Error):
                    self.memory = max(self.memory, process.memory_info().rss)

    def __enter__(self) -> "Cost":
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        self.before, self.own = self.used(), time.thread_time()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds, self.own = self.used() - self.before, time.thread_time() - self.own
        self.done.set()
        self.thread.join()


@pytest.fixture
def worker() -> Iterator[Worker]:
    CREW.dismiss()
    hired = Worker()
    yield hired
    hired.close()


@pytest.mark.parametrize("name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in KINDS])
def test_a_hostile_file_costs_little_and_is_read_or_refused_in_words(name: str, worker: Worker) -> None:
    data = KINDS[name]()
    assert len(data) < 1_000_000
    with Cost() as cost:
        outcome = worker.run(Task(name, data, chunking=ChunkingConfig()))
    print(f"hostile: {name} {cost.seconds:.1f} s {cost.memory / 2**20:.0f} MB")
    assert cost.seconds <= SECONDS and cost.memory <= MEMORY
    assert cost.own <= 2  # processor time of the process that asked, to check and take over the answer
    if isinstance(outcome, DocumentError):
        assert outcome.document == name and outcome.reason and "Traceback" not in outcome.reason
    else:
        assert outcome.document.id == name and len(outcome.document.text) <= 2_000_000 + 20 * len(data)
    assert isinstance(worker.run(Task("good.md", GOOD)), Prepared)


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in ("tall.pdf", "forms-draw.pdf") else pytest.mark.slow) for name in VIEWED])
def test_a_hostile_page_costs_little_and_is_drawn_or_refused_in_words(name: str) -> None:
    CREW.dismiss()
    data = KINDS[name]()
    with Cost() as cost:
        try:
            assert page_views.page_image(data, name, 1, 1_400).startswith(b"\x89PNG")
        except DocumentError as error:
            assert error.document == name and error.reason
    print(f"hostile: page 1 of {name} {cost.seconds:.1f} s {cost.memory / 2**20:.0f} MB")
    assert cost.seconds <= SECONDS and cost.memory <= MEMORY
    good = page(WORDS)
    assert page_views.page_view(good, parse_pdf(good, "good.pdf", ""), 0, 8).marks
    CREW.dismiss()


@pytest.mark.parametrize(("name", "reason"), [
    ("spans.html", ", the limit for a file of its size"),  # of memory or of time, whichever it meets first
    ("subject-words.eml", "takes more than 900 MB of memory, the limit for a file of its size"),
    ("merged-many.xlsx", None),
    ("stray.xlsx", None),
    ("diagonal.xlsx", "reaches to column 700"),
    ("spine-50000.epub", None),
    ("bomb-190mb.docx", "unpacks from"),
])
def test_a_refusal_names_the_limit_and_the_rest_of_an_upload_goes_on(name: str, reason: str | None, tmp_path: Path) -> None:
    workbench = Workbench(Settings(home=tmp_path, workers=2))
    with TestClient(create_api(workbench), base_url="http://127.0.0.1") as client:
        data = KINDS[name]()
        answer = client.post("/v1/documents", files=[("files", (name, data)), ("files", ("good.md", GOOD))]).json()
        outcome = {each["document"]: each for each in answer["files"]}
        assert outcome["good.md"]["status"] == "new"
        if reason is None:  # its one chapter is read once, its gaps are closed, its ranges end with the rows
            assert outcome[name]["status"] == "new"
            return
        assert reason in outcome[name]["reason"] and "(" in outcome[name]["reason"]  # what to do
        alone = client.post("/v1/documents", files=[("files", (name, data))]) if name != "spans.html" else None  # once is long enough
    if alone is None:
        return
    assert alone.status_code == 422 and alone.headers["content-type"] == "application/problem+json"
    assert name in alone.json()["detail"] and reason in alone.json()["detail"]


def test_nothing_is_parsed_cut_or_drawn_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*given: object, **more: object) -> None:
        raise AssertionError("in the server's own process")

    for name in ("ingestion.preparation.parse", "ingestion.preparation.chunk", "ingestion.preparation.identity_of", "ingestion.preparation.terms_of", "indexing.schema.terms_of",
                 "indexing.schema.identity_of", "documents.pdf.open_pdf", "documents.pdf_letters.open_pdf", "guardrails.scan.scanned"):
        monkeypatch.setattr(f"ragwb.{name}", forbidden)
    workbench = Workbench(Settings(home=tmp_path, workers=1))
    api = create_api(workbench)
    add_app(api, workbench)
    with TestClient(api, base_url="http://127.0.0.1") as client:
        answer = client.post("/v1/documents", files=[("files", ("good.md", GOOD)), ("files", ("sheet.pdf", page(WORDS)))])
        assert answer.json()["new"] == 2, answer.json()
        picture = client.get("/pages", params={"collection": "default", "document": "sheet.pdf", "page": 1})
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")


def test_a_page_that_cannot_be_drawn_is_a_problem_and_its_text_can_be_read(tmp_path: Path) -> None:
    from ragwb.app.source_view import source_reader

    workbench = Workbench(Settings(home=tmp_path, workers=1))
    workbench.ingest_files([("tall.pdf", KINDS["tall.pdf"]()), ("forms.pdf", KINDS["forms-text.pdf"]())])
    api = create_api(workbench)
    add_app(api, workbench)
    with TestClient(api, base_url="http://127.0.0.1") as client:
        answer = client.get("/pages", params={"collection": "default", "document": "tall.pdf", "page": 1})
        assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
        assert "tall.pdf" in answer.json()["detail"] and "10,000,000 points cannot be drawn" in answer.json()["detail"]
        assert client.get("/pages", params={"collection": "default", "document": "tall.pdf", "page": 2}).status_code == 404
    place = {"document": "tall.pdf", "start": 0, "end": 8, "quote": "The seal", "page": 1}
    assert "<mark>The seal</mark> cover takes 12 Nm." in source_reader(workbench.pipeline(), place)


def test_a_worker_has_an_empty_environment(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "RAGWB_HOME", "OPENAI_API_KEY", "HOME"):
        monkeypatch.setenv(name, "secret-of-the-server")
    assert isinstance(worker.run(Task("good.md", GOOD)), Prepared) and worker.process
    known = psutil.Process(worker.process.pid).environ()
    assert "secret-of-the-server" not in known.values()
    assert set(known) <= {
        "PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONUTF8", "LANG", "LC_CTYPE",
        "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TOKENIZERS_PARALLELISM", "MALLOC_ARENA_MAX",
    }


class Trap:
    "A pickle that would run a program where it is loaded."

    def __init__(self, place: str):
        self.place = place

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.place,)


LYING = """
import struct, sys
head = bytes.fromhex(sys.argv[1])
sizes = bytes.fromhex(sys.argv[2]) or struct.pack(">QQ", len(head), 0)
sys.stdin.buffer.read(16)
sys.stdout.buffer.write(sizes + head); sys.stdout.buffer.flush()
sys.stdin.buffer.read()
"""


@pytest.mark.parametrize("lie", ["pickle", "length", "list", "deep", "span", "types"])
def test_an_answer_is_data_and_is_not_believed(lie: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = b'{"text":"The seal","format":"md","hash":"","title":"a","found":"","metadata":{},"pages":%s,"headings":[],"runs":[]}'
    said = {
        "pickle": pickle.dumps(Trap(str(tmp_path / "loaded"))), "length": b"", "list": b"[]", "deep": b"[" * 100_000,
        "span": sound % b'[[1,0,99,"page",""]]', "types": sound % b'[["1",0,8,"page",""]]',
    }[lie]
    sizes = (b"\0\0\1\0\0\0\0\0" + bytes(8)).hex() if lie == "length" else ""
    monkeypatch.setattr(Worker, "command", (sys.executable, "-c", LYING, said.hex(), sizes))
    liar = Worker()
    outcome = liar.run(Task("a.md", GOOD))
    liar.close()
    assert isinstance(outcome, DocumentError) and outcome.document == "a.md"
    assert not (tmp_path / "loaded").exists()


def test_this_process_goes_on_while_hostile_files_are_read() -> None:
    "Ticks of a thread in a given time, with hostile files in the workers and without."
    def ticks(seconds: float) -> int:
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.005)
            count += 1
        return count

    list(parse_many([("good.md", GOOD)] * 2, workers=1))
    quiet = ticks(3)
    results = parse_many([(f"{n}-{name}", KINDS[name]()) for n in range(2) for name in ("fences-400000.md", "nested-b.html", "many-values.json")], workers=1)
    reading = threading.Thread(target=lambda: list(results), daemon=True)
    reading.start()
    busy = ticks(3)
    reading.join()
    assert busy >= quiet / 2


def test_the_files_of_one_upload_have_a_deadline(tmp_path: Path) -> None:
    workbench = Workbench(Settings(home=tmp_path, workers=1))
    slow = [(f"{n}.md", b"# Pump %d\n\n" % n + b"It lasts and lasts. " * 40_000) for n in range(30)]
    begun = time.monotonic()
    report = workbench.ingest_files(slow, patience_s=1.0)
    assert report.new >= 1 and report.new + len(report.failed) == 30 and time.monotonic() - begun < 60
    assert all("not read: a run may take 1 s" in reason and "send the rest again" in reason for _, reason in report.failed) and report.failed


def test_failed_uploads_are_kept_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragwb.app.uploads.KEPT", 1_000)
    board = UploadBoard()
    for n in range(6):
        board.items[str(n)], board.data[str(n)] = announced(str(n), "default", f"{n}.md", 400, 1), bytearray(400)
        board.note(str(n), stage="failed", reason="the disk is full", again=True)
    assert [len(board.data.get(str(n), b"")) for n in range(6)] == [0, 0, 0, 0, 400, 400]


def test_passing_folders_of_killed_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    imports = "import sys, time\nfrom pathlib import Path\nfrom ragwb.storage.folder import passing_folder\n"
    code = f"{imports}with passing_folder(Path(sys.argv[1])) as at:\n (at / '0').write_text('plain'); print(flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert other.stdout and other.stdout.readline()
    with passing_folder(tmp_path):
        assert len(list(tmp_path.glob("passing-*"))) == 2 and drop_passing(tmp_path) == 0
    other.kill()
    other.wait()
    from ragwb.app.server import create_server

    create_server(Settings(home=tmp_path))
    assert not list(tmp_path.glob("passing-*"))


def test_vectors_come_from_the_caller_in_the_middle_of_a_job(worker: Worker) -> None:
    from ragwb.indexing.embedding import WordLlamaEmbedder
    from ragwb.ingestion.preparation import prepared

    asked: list[int] = []
    model = WordLlamaEmbedder()

    def embed(texts: list[str]) -> object:
        asked.append(len(texts))
        return model.embed(texts)

    task = Task("a.md", GOOD + b"The pump drips. It is blue. Nobody knows why. Ask the foreman. He is in on Mondays.\n", chunking=ChunkingConfig(strategy="semantic"))
    found = worker.run(task, embed)  # type: ignore[arg-type]
    assert found == prepared(task, model.embed) and asked and isinstance(found, Prepared) and found.cut

    def refuses(texts: list[str]) -> object:
        raise DocumentError("", "not embedded: the provider refused it")

    refused = worker.run(task, refuses)  # type: ignore[arg-type]
    assert isinstance(refused, DocumentError) and str(refused) == "a.md: not embedded: the provider refused it"
    assert isinstance(worker.run(task, embed), Prepared)  # type: ignore[arg-type]


def test_honest_documents_are_far_from_the_limits(worker: Worker) -> None:
    "Half a megabyte of prose, and fifty printed pages: at most a third of what they may cost."
    from reportlab.pdfgen.canvas import Canvas

    words = " ".join(f"The seal A{n}-990 is tightened with {n} Nm by the fitter on duty." for n in range(8_000))
    file = io.BytesIO()
    canvas = Canvas(file)
    for number in range(50):
        for line in range(45):
            canvas.drawString(50, 780 - 16 * line, f"Page {number}, line {line}: the seal cover takes {line} Nm, and the fitter signs for it.")
        canvas.showPage()
    canvas.save()
    for name, data in {"prose.txt": words.encode()[:500_000], "pages.pdf": file.getvalue()}.items():
        with Cost() as cost:
            outcome = worker.run(Task(name, data, chunking=ChunkingConfig()))
        assert isinstance(outcome, Prepared) and isinstance(outcome.document, Document)
        assert cost.seconds <= SECONDS / 3 and cost.memory <= MEMORY / 2, (name, cost.seconds, cost.memory)
    assert isinstance(worker.run(Task("mask.txt", words.encode()[:100_000], guardrail=GuardrailConfig(scan="mask"), chunking=ChunkingConfig())), Prepared)
