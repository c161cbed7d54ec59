"Names: two files of one name are two documents, a renamed file is one document before and after, an upload loses nothing, ids are whole."

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from ragwb.api.routes import create_api
from ragwb.app.documents_view import upload_list
from ragwb.app.uploads import Uploads
from ragwb.cli import main
from ragwb.ingestion.sources import Source, gather_files
from ragwb.operations.permission import Visitor, seen_by
from ragwb.settings import Settings
from ragwb.storage.bucket import objects
from ragwb.workbench import Workbench

ALPHA = "# Alpha\n\nThe alpha pump is tightened with a torque of 11 N m.\n"
BETA = "# Beta\n\nThe beta pump is tightened with a torque of 22 N m.\n"
GAMMA = "# Gamma\n\nThe gamma pump is tightened with a torque of 33 N m.\n"
LONG = "the quarterly report on the inspection of all pumps/final/inspection-of-the-northern-plants-2025-final-version-approved-by-everybody.md"


def files(folder: Path, **texts: str) -> Path:
    "A folder with Markdown files."
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(Settings(home=tmp_path / "home", workers=1))


def held(bench: Workbench) -> dict[str, str]:
    "The pump that each document is about."
    opened = bench.store.open("default")
    return {info.id: opened.document(info.id).text.split()[1].lower() for info in opened.documents()}


def counted(report: Any) -> tuple[int, int, int, int]:
    return report.new, report.changed, report.unchanged, len(report.failed)


def test_one_name_in_two_folders(tmp_path: Path, bench: Workbench) -> None:
    "Named together or one after the other, they are two documents, which every later run finds again."
    a, b = files(tmp_path / "A", x=ALPHA), files(tmp_path / "B", x=BETA)
    report = bench.ingest_paths([a, b])
    assert counted(report) == (2, 0, 0, 0) and report.names == [("B/x.md", "kept beside A/x.md, another file of this name")]
    assert held(bench) == {"A/x.md": "alpha", "B/x.md": "beta"}
    for again in ([a, b], [b], [a / "x.md"], [b / "x.md", a / "x.md"]):
        assert counted(bench.ingest_paths(again)) == (0, 0, len(again), 0)
    files(b, x=GAMMA)
    assert counted(bench.ingest_paths([b])) == (0, 1, 0, 0) and held(bench) == {"A/x.md": "alpha", "B/x.md": "gamma"}
    answer = bench.ask("Which torque has the alpha pump?")
    assert [citation.document for citation in answer.citations] == ["A/x.md"]


def test_one_name_in_two_folders_after_each_other(tmp_path: Path, bench: Workbench) -> None:
    a, b, c = files(tmp_path / "A", x=ALPHA), files(tmp_path / "B", x=BETA), files(tmp_path / "more" / "B", x=GAMMA)
    bench.ingest_paths([a])
    report = bench.ingest_paths([b])
    assert counted(report) == (1, 0, 0, 0) and report.names == [("B/x.md", "kept beside x.md, another file of this name")]
    bench.ingest_paths([c])  # a third folder, whose name is taken too
    assert held(bench) == {"x.md": "alpha", "B/x.md": "beta", "more/B/x.md": "gamma"}
    assert counted(bench.ingest_paths([a, b, c])) == (0, 0, 3, 0)
    bench.reindex()
    assert counted(bench.ingest_paths([c, b, a])) == (0, 0, 3, 0)  # a rebuilt index still knows the files


def test_a_file_below_two_named_folders_is_one_document(tmp_path: Path, bench: Workbench) -> None:
    top = files(tmp_path / "top", sub__x=ALPHA)
    (tmp_path / "link").symlink_to(top)
    assert counted(bench.ingest_paths([top, top / "sub", top / "sub" / "x.md", tmp_path / "link"])) == (1, 0, 0, 0)
    for again in (top / "sub", tmp_path / "link", tmp_path / "link" / "sub" / "x.md"):
        assert counted(bench.ingest_paths([again])) == (0, 0, 1, 0) and held(bench) == {"sub/x.md": "alpha"}


def test_a_link_to_a_file_is_a_file(tmp_path: Path, bench: Workbench) -> None:
    folder = files(tmp_path / "F", march=ALPHA)
    (folder / "latest.md").symlink_to("march.md")
    bench.ingest_paths([folder])
    assert held(bench) == {"latest.md": "alpha", "march.md": "alpha"}


def test_a_decomposed_name_is_there(tmp_path: Path, bench: Workbench) -> None:
    "Written on macOS, a name has other bytes than its id: its file is not gone, and a copy does not take its place."
    decomposed = "Pru\u0308fbericht"
    folder = files(tmp_path / "F", **{decomposed: ALPHA})
    bench.ingest_paths([folder])
    files(folder, Acopy=ALPHA)  # is read first
    assert counted(bench.ingest_paths([folder])) == (1, 0, 1, 0) and sorted(held(bench)) == ["Acopy.md", "Pr\u00fcfbericht.md"]
    (folder / f"{decomposed}.md").rename(folder / "B.md")
    assert bench.ingest_paths([folder]).names == [("B.md", "renamed from Pr\u00fcfbericht.md")]


def test_a_renamed_file_replaces_its_old_self(tmp_path: Path, bench: Workbench) -> None:
    folder = files(tmp_path / "F", old=ALPHA, sub__note=BETA)
    bench.ingest_paths([folder])
    (folder / "old.md").rename(folder / "new.md")
    (folder / "other").mkdir()
    (folder / "sub" / "note.md").rename(folder / "other" / "note.md")
    (folder / "sub").rmdir()
    report = bench.ingest_paths([folder])
    assert counted(report) == (0, 2, 0, 0) and sorted(report.names) == [("new.md", "renamed from old.md"), ("other/note.md", "renamed from sub/note.md")]
    assert held(bench) == {"new.md": "alpha", "other/note.md": "beta"}
    assert counted(bench.ingest_paths([folder])) == (0, 0, 2, 0)
    (folder / "new.md").rename(folder / "other" / "note.md")  # over another document, whose text no file has any more
    assert bench.ingest_paths([folder]).names == [("other/note.md", "renamed from new.md")] and held(bench) == {"other/note.md": "alpha"}


def test_a_file_moves_to_another_folder(tmp_path: Path, bench: Workbench) -> None:
    a, b = files(tmp_path / "A", x=ALPHA, y=BETA), files(tmp_path / "B", z=GAMMA)
    bench.ingest_paths([a])
    (a / "x.md").rename(b / "x.md")
    (a / "y.md").rename(b / "why.md")
    report = bench.ingest_paths([b])
    assert counted(report) == (1, 2, 0, 0) and sorted(report.names) == [("why.md", "renamed from y.md"), ("x.md", f"moved from {a}/x.md")]
    assert held(bench) == {"x.md": "alpha", "why.md": "beta", "z.md": "gamma"}
    files(a, x=GAMMA)  # another file comes where it was
    bench.ingest_paths([a])
    assert held(bench) == {"x.md": "alpha", "why.md": "beta", "z.md": "gamma", "A/x.md": "gamma"}


def test_nothing_leaves_before_the_new_name_is_there(tmp_path: Path, bench: Workbench) -> None:
    "The renamed file cannot be read: its old self stays."
    folder = files(tmp_path / "F", old=ALPHA)
    bench.ingest_paths([folder])
    (folder / "old.md").rename(folder / "new.pdf")
    report = bench.ingest_paths([folder])
    assert counted(report) == (0, 0, 0, 1) and held(bench) == {"old.md": "alpha"}
    (folder / "new.pdf").rename(folder / "new.md")
    seen: list[set[str]] = []
    bench.ingest_paths([folder], progress=lambda step: seen.append(set(bench.store.open("default").hashes())))
    assert {"old.md"} in seen and seen[-1] == {"new.md"} and all(seen)


def test_an_absent_file_stays(tmp_path: Path, bench: Workbench) -> None:
    folder = files(tmp_path / "F", x=ALPHA, y=BETA)
    bench.ingest_paths([folder])
    (folder / "x.md").unlink()
    assert counted(bench.ingest_paths([folder])) == (0, 0, 1, 0) and held(bench) == {"x.md": "alpha", "y.md": "beta"}


def test_a_disk_that_is_not_mounted_loses_nothing(tmp_path: Path, bench: Workbench) -> None:
    disk, local = files(tmp_path / "disk", x=ALPHA, y=BETA), files(tmp_path / "local", x=GAMMA, copy=BETA)
    bench.ingest_paths([disk])
    disk.rename(tmp_path / "elsewhere")
    bench.ingest_paths([local])
    assert held(bench) == {"x.md": "alpha", "y.md": "beta", "local/x.md": "gamma", "copy.md": "beta"}


def test_another_checkout_is_the_same_document(tmp_path: Path, bench: Workbench) -> None:
    "A job that checks a repository out into a new folder each time brings the next edition."
    bench.ingest_paths([files(tmp_path / "run-1" / "docs", x=ALPHA, y=BETA)])
    second = files(tmp_path / "run-2" / "docs", x=GAMMA, y=BETA)
    shutil.rmtree(tmp_path / "run-1")
    assert counted(bench.ingest_paths([second])) == (0, 1, 1, 0) and held(bench) == {"x.md": "gamma", "y.md": "beta"}


def test_two_checkouts_that_are_both_there(tmp_path: Path, bench: Workbench) -> None:
    one, two = files(tmp_path / "one" / "docs", x=ALPHA), files(tmp_path / "two" / "docs", x=ALPHA)
    bench.ingest_paths([one])
    bench.ingest_paths([one, two])
    files(one, x=BETA)
    bench.ingest_paths([two, one])
    assert held(bench) == {"x.md": "beta", "docs/x.md": "alpha"}


def test_copies(tmp_path: Path, bench: Workbench) -> None:
    "Copies in two folders are two documents, until the file of one is gone and its folder is ingested again."
    a, b = files(tmp_path / "A", x=ALPHA), files(tmp_path / "B", x=ALPHA)
    assert counted(bench.ingest_paths([a])) == (1, 0, 0, 0) and counted(bench.ingest_paths([b])) == (1, 0, 0, 0)
    assert held(bench) == {"x.md": "alpha", "B/x.md": "alpha"}
    (b / "x.md").unlink()
    assert counted(bench.ingest_paths([a])) == (0, 0, 1, 0) and len(held(bench)) == 2
    report = bench.ingest_paths([a, b])
    assert report.names == [("x.md", "replaces B/x.md, which had the same content and whose file is gone")] and held(bench) == {"x.md": "alpha"}


def test_two_copies_gone_and_one_new_file(tmp_path: Path, bench: Workbench) -> None:
    folder = files(tmp_path / "F", one=ALPHA, two=ALPHA)
    bench.ingest_paths([folder])
    for name in ("one", "two"):
        (folder / f"{name}.md").rename(folder / f"{name}-2026.md")
    assert counted(bench.ingest_paths([folder])) == (0, 2, 0, 0) and held(bench) == {"one-2026.md": "alpha", "two-2026.md": "alpha"}


def test_what_a_program_names_is_that_document(bench: Workbench) -> None:
    bench.ingest([Source("x.md", ALPHA.encode())], "", None)
    assert counted(bench.ingest([Source("x.md", BETA.encode())], "", None)) == (0, 1, 0, 0) and held(bench) == {"x.md": "beta"}
    bench.ingest_files([("x.md", GAMMA.encode())])
    assert held(bench) == {"x.md": "gamma"}


def test_an_upload_and_a_file_of_one_name(tmp_path: Path, bench: Workbench) -> None:
    folder = files(tmp_path / "F", x=BETA)
    bench.ingest_files([("x.md", ALPHA.encode())])
    bench.ingest_paths([folder])
    assert held(bench) == {"x.md": "alpha", "F/x.md": "beta"}
    assert counted(bench.ingest_files([("F/x.md", BETA.encode())], keep_both=True)) == (0, 0, 1, 0)


def post(client: TestClient, *named: tuple[str, str], query: str = "") -> Any:
    return client.post(f"/v1/documents{query}", files=[("files", (name, text.encode())) for name, text in named])


def told(response: Any) -> list[tuple[str, str, str, str]]:
    assert response.status_code == 200, response.text
    return [(each.get("name", each["document"]), each["document"], each["status"], each["reason"]) for each in response.json()["files"]]


def test_uploads_over_http(bench: Workbench) -> None:
    with TestClient(create_api(bench), base_url="http://127.0.0.1") as client:
        post(client, ("x.md", ALPHA))
        beside = "kept beside x.md, which has other content"
        assert told(post(client, ("x.md", BETA))) == [("x.md", "x (2).md", "new", beside)]
        assert told(post(client, ("x.md", BETA))) == [("x.md", "x (2).md", "unchanged", "")]
        assert told(post(client, ("x.md", GAMMA), query="?replace=false")) == [("x.md", "x (3).md", "new", beside)]
        assert held(bench) == {"x.md": "alpha", "x (2).md": "beta", "x (3).md": "gamma"}
        assert {info["id"] for info in client.get("/v1/documents").json()["documents"]} == {"x.md", "x (2).md", "x (3).md"}
        assert client.get("/v1/documents/x (2).md?text=true").json()["text"].startswith("# Beta")
        assert client.delete("/v1/documents/x (3).md").status_code == 200
        new = GAMMA.replace("33", "34")
        replaced = post(client, ("x.md", new), query="?replace=true")
        assert told(replaced) == [("x.md", "x.md", "changed", "replaces the earlier x.md")]
        assert replaced.json()["names"] == [{"document": "x.md", "said": "replaces the earlier x.md"}]
        assert held(bench) == {"x.md": "gamma", "x (2).md": "beta"}
        assert told(post(client, ("copy.md", new))) == [("copy.md", "copy.md", "new", "has the same content as x.md, which stays")]
        wrong = post(client, ("x.md", ALPHA), query="?replace=perhaps")
        assert wrong.status_code == 422 and "replace" in wrong.text and held(bench)["x.md"] == "gamma"


@pytest.mark.parametrize("query", ["", "?replace=true"])
def test_two_files_of_one_name_in_one_upload(bench: Workbench, query: str) -> None:
    with TestClient(create_api(bench), base_url="http://127.0.0.1") as client:
        sent = told(post(client, ("a.md", ALPHA), ("a.md", BETA), ("b/a.md", GAMMA), query=query))
        assert [each[1:3] for each in sent] == [("a.md", "new"), ("a (2).md", "new"), ("b/a.md", "new")]
    assert held(bench) == {"a.md": "alpha", "a (2).md": "beta", "b/a.md": "gamma"}


def test_a_visitor_with_collections_keeps_both(bench: Workbench) -> None:
    bench.ingest_files([("x.md", ALPHA.encode())])
    visitor = Visitor("1", "Anton", frozenset({"ingest"}), ("default",))
    report = seen_by(bench, visitor).ingest_files([("x.md", BETA.encode())], "default", keep_both=True)
    assert report.names == [("x (2).md", "kept beside x.md, which has other content")]


def test_uploads_in_the_app(bench: Workbench) -> None:
    "The row of the upload says under which name it is kept."
    for number, text in enumerate((ALPHA, BETA)):
        uploads = Uploads(bench)
        uploads.begin(str(number), "default", "x.md", len(text))
        uploads.piece(str(number), text.encode(), last=True)
        uploads.runs.pool.shutdown()
    assert held(bench) == {"x.md": "alpha", "x (2).md": "beta"}
    assert "as x (2).md: kept beside x.md, which has other content" in upload_list(uploads.of("default"))


def run(home: Path, *words: str) -> Any:
    return CliRunner().invoke(main, list(words), env={"RAGWB_HOME": str(home), "RAGWB_WORKERS": "1", "COLUMNS": "60"}, catch_exceptions=False)


def test_ids_are_printed_whole(tmp_path: Path) -> None:
    "A screen of 60 columns cuts no id, and what is printed can be given to the other commands."
    home, folder = tmp_path / "home", tmp_path / "F"
    (folder / LONG).parent.mkdir(parents=True)
    (folder / LONG).write_text(ALPHA.replace("# Alpha", f"# Alpha{' and its title that is long' * 12}"))
    files(folder, x=BETA)
    run(home, "ingest", str(folder))
    listed = run(home, "documents", "list").stdout
    assert any(line.startswith(f"{LONG} ") for line in listed.splitlines()), listed
    shown = run(home, "documents", "show", LONG)
    assert shown.stdout.startswith("# Alpha") and f"{LONG} was read from {folder}/{LONG}" in shown.stderr
    assert LONG in run(home, "ask", "Which torque has the alpha pump?").stdout
    (folder / LONG).rename(folder / f"{LONG}.md")
    assert f"{LONG}.md: renamed from {LONG}\n" in run(home, "ingest", str(folder)).stdout
    gone = run(home, "documents", "delete", f"{LONG}.md", "--yes")
    assert gone.exit_code == 0 and [info["id"] for info in json.loads(run(home, "documents", "list", "--json").stdout)] == ["x.md"]


def test_the_command_says_what_became_of_names(tmp_path: Path) -> None:
    a, b = files(tmp_path / "A", x=ALPHA), files(tmp_path / "B", x=BETA)
    done = run(tmp_path / "home", "ingest", str(a), str(b))
    assert done.exit_code == 0 and "B/x.md: kept beside A/x.md, another file of this name" in done.stdout
    (a / "x.md").rename(a / "y.md")
    report = json.loads(run(tmp_path / "home", "ingest", str(a), "--json").stdout)
    assert report["names"] == [{"document": "y.md", "said": "renamed from A/x.md"}]


def test_a_deletion_finds_the_answers_of_a_former_name(tmp_path: Path, bench: Workbench) -> None:
    folder = files(tmp_path / "F", old=ALPHA, other=BETA)
    bench.ingest_paths([folder])
    answers = [bench.ask(f"Which torque has the {name} pump?") for name in ("alpha", "beta")]
    assert [answer.citations[0].document for answer in answers] == ["old.md", "other.md"]
    for name, text in (("new", ALPHA), ("newer", ALPHA)):
        (folder / "old.md").unlink(missing_ok=True)
        (folder / "new.md").unlink(missing_ok=True)
        bench.ingest_paths([files(folder, **{name: text})])
    files(folder, newer=GAMMA)  # edited since, and indexed again
    bench.ingest_paths([folder])
    bench.reindex()
    assert bench.delete(["newer.md"]) == 1
    assert [kept["id"] for kept in bench.answers.recent(5)] == [answers[1].id]


def test_objects_that_are_renamed(tmp_path: Path, s3_settings: Settings) -> None:
    "A prefix of a bucket is a folder, and asks the bucket what is still there."
    inbox = f"{s3_settings.storage.rpartition('/')[0]}/inbox"
    bucket, bench = objects(replace(s3_settings, storage=inbox)), Workbench(replace(s3_settings, workers=1))
    bucket.put("old.md", ALPHA.encode())
    bucket.put("keep.md", BETA.encode())
    bench.ingest_paths([inbox])
    bucket.delete(["old.md"])
    bucket.put("new.md", ALPHA.encode())
    bucket.put("copy.md", BETA.encode())
    report = bench.ingest_paths([inbox])
    assert counted(report) == (1, 1, 1, 0) and report.names == [("new.md", "renamed from old.md")]
    bucket.delete(["copy.md"])
    assert bench.ingest_paths([inbox]).names == [("keep.md", "replaces copy.md, which had the same content and whose file is gone")]
    bench.ingest_paths([files(tmp_path / "A", keep=GAMMA)])
    assert held(bench) == {"new.md": "alpha", "keep.md": "beta", "A/keep.md": "gamma"}


def test_two_uploads_of_one_name_at_the_same_time(s3_settings: Settings) -> None:
    "On S3 nothing is locked while files are read: the later commit loses no earlier one."
    first, second = (Workbench(replace(s3_settings, workers=1)) for _ in range(2))
    first.ingest_files([("other.md", GAMMA.encode())])

    def meanwhile(step: Any) -> None:
        if step.stage == "indexing":
            second.ingest_files([("x.md", ALPHA.encode())], keep_both=True)

    report = first.ingest_files([("x.md", BETA.encode())], progress=meanwhile, keep_both=True)
    assert report.failed == [("x.md", "another document of this name came in meanwhile: send it again")]
    assert counted(first.ingest_files([("x.md", BETA.encode())], keep_both=True)) == (1, 0, 0, 0)
    assert held(first) == {"other.md": "gamma", "x.md": "alpha", "x (2).md": "beta"}


def test_gathered_files_know_where_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(tmp_path / "A", x=ALPHA)
    monkeypatch.chdir(tmp_path)
    assert {gather_files([path]).sources[0].origin.path for path in ("A", "A/x.md", "./A/../A", tmp_path / "A")} == {f"{tmp_path}/A/x.md"}
