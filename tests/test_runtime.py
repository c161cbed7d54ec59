"What holds with the runtime alone, as `pip install ragwb` gives it: every command works, or says in one line which extra it needs."

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import click
import pytest
from checkouts import data_set
from notebooks import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ragwb.cli import main

CALLS = """
import json, sys
from click.testing import CliRunner

class Blocked:
    def __init__(self, names): self.names = names
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

asked = json.load(sys.stdin)
sys.meta_path.insert(0, Blocked(set(asked["blocked"])))
from ragwb.cli import main

answer = "20261124-220000-00000000"
for command, words in asked["calls"].items():
    run = CliRunner().invoke(main, [*command.split(), *(word.format(answer=answer) for word in words)])
    if command == "ask --json" and not run.exit_code:
        answer = json.loads(run.output)["id"]
    bug = "" if run.exception is None or isinstance(run.exception, SystemExit) else repr(run.exception)
    print(json.dumps([command, run.exit_code, run.output, bug]))
"""
SPARED = set("""pandas matplotlib scipy sklearn panel bokeh mlflow ragas jupyter_client nbformat boto3 botocore redis openai langchain_openai langchain_aws ray lance rich
    uvicorn starlette prometheus_client pypdfium2 markdown_it lance_namespace_urllib3_client langsmith.types
    langsmith.client opentelemetry psutil tornado""".split())  # for other tasks
ASKED = """
import sys
from click.testing import CliRunner
from ragwb.cli import main

run = CliRunner().invoke(main, ["ask", "At how many bar does the pump of series 1 open?"])
assert run.exit_code == 0, run.output
print(*sys.modules)
"""
EXTRA = re.compile(r"^Error: \S+ is not installed[:;] pip install 'ragwb\[(\w+)\]'$", re.MULTILINE)


def runtime() -> set[str]:
    "The packages that ragwb's requirements bring, theirs included, without any extra."
    found, waiting = set[tuple[str, str]](), [Requirement("ragwb")]
    while waiting:
        wanted = waiting.pop()
        for extra in ("", *wanted.extras):
            if (key := (canonicalize_name(wanted.name), extra)) not in found:
                found.add(key)
                try:
                    needed = map(Requirement, requires(wanted.name) or ())
                except PackageNotFoundError:  # of another platform
                    continue
                waiting += [one for one in needed if not one.marker or one.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def blocked() -> list[str]:
    "The modules that are installed here and would not be."
    kept = runtime()
    return [module for module, packages in packages_distributions().items()
            if module not in sys.stdlib_module_names and not {canonicalize_name(package) for package in packages} & kept]


def commands(group: click.Group, *above: str) -> set[str]:
    "The names of all commands."
    return {name for part, command in group.commands.items()
            for name in (commands(command, *above, part) if isinstance(command, click.Group) else [" ".join((*above, part))])}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    "Documents with questions, a report, and the experiments that it is compared with."
    data_set(tmp_path / "data")
    (tmp_path / "data/docs/glossary.md").write_text("# Glossary\n\n**Barrier fluid.** A clean liquid between the two halves of a double seal.\n")
    shutil.copytree(ROOT / "reports/01_chunking", tmp_path / "reports/01_chunking")
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments", ignore=shutil.ignore_patterns("data", "playgrounds"))
    (tmp_path / "data/pairs.jsonl").write_text('{"question": "How long is the warranty?", "paraphrase": "How long is the warranty"}\n')
    (tmp_path / "prompt.txt").write_text("Answer.\n---\n{passages}\n{question}\n")
    return tmp_path


EVERY = {  # command -> words behind it, and the extra that it needs
    "ingest": (["data/docs"], ""), "reindex": ([], ""), "sync": (["data/docs", "s3://bucket/team"], "aws"),
    "ask --json": (["At how many bar does the pump of series 1 open?"], ""), "eval --no-ladder": (["data"], ""), "doctor": ([], ""),
    "serve": (["--host", "203.0.113.1"], ""), "emulate": (["--port", "0"], "aws"),
    "cost report": ([], ""), "documents list": ([], ""), "documents show": (["pumps.md"], ""), "documents tag": (["first"], ""), "documents tags": ([], ""),
    "replay": (["{answer}"], ""), "replay --execute": (["{answer}"], "workbench"), "documents delete": (["seals.md", "--yes"], ""),
    "candidates list": ([], ""), "candidates reject": (["{answer}"], ""), "candidates confirm": (["{answer}", "--to", "data/questions.jsonl", "--unanswerable"], ""),
    "track answer": (["{answer}"], "workbench"), "track config": (["local"], "workbench"), "track prompt": (["answer:1"], "workbench"),
    "drift": ([], "workbench"), "drift --report": (["drift.ipynb"], "workbench"),
    "experiment run": (["chunking", "--profile", "smoke"], "workbench"), "experiment search": (["data", "-p", "retrieval.k=[3,5]"], "workbench"),
    "experiment list": ([], ""), "experiment compare": (["reports", "reports"], ""), "verify": (["reports/01_chunking"], ""),
    "promote": (["local", "--dataset", "data"], ""), "rollback": ([], ""), "configs": ([], ""), "questions generate": (["data", "--count", "2"], ""),
    "prompts list": ([], ""), "prompts show": (["answer:1"], ""), "prompts register": (["mine", "prompt.txt"], ""), "prompts diff": (["answer:1", "mine:1"], ""),
    "judge list": ([], ""), "judge try": (["--labels", "data/questions.jsonl"], "workbench"), "judge answers": (["data"], "workbench"),
    "model list": ([], ""), "model use": (["qwen3", "--url", "http://127.0.0.1:1"], "openai"), "model off": ([], ""),
    "keys create": (["ann"], ""), "keys list": ([], ""), "keys rotate": (["ann"], ""), "keys revoke": (["ann"], ""),
    "keys readmit": (["ann"], ""), "cache try": (["data/pairs.jsonl"], ""),
    "ab list": ([], ""), "ab status": (["trial"], ""), "ab start": (["trial", "--arm", "control=now", "--arm", "other=prompt:mine:1"], ""), "ab stop": (["trial"], ""),
    "audit": ([], ""), "restore": (["--tag", "first"], ""), "maintain": ([], ""),
    "collections create": (["trial"], ""), "collections list": ([], ""), "collections rename": (["trial", "A trial"], ""), "collections delete": (["trial", "--yes"], ""),
    "cost estimate": (["--config", "aws", "--per-day", "10", "--tokens", "1000", "100"], ""),
    "route outcomes": (["data", "--out", "outcomes.jsonl"], ""), "route train": (["outcomes.jsonl", "--out", "weights.json"], ""),
    "route try": (["outcomes.jsonl"], ""),
    "prompts alias": (["mine:1", "best"], ""), "prompts pull": (["answer:1"], "workbench"),
}


def called(folder: Path, **environment: str) -> dict[str, tuple[int, str]]:
    "Exit code and output of each command, one after the other in a process that has the runtime alone. Fails with those that ended in a traceback."
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("RAGWB_", "AWS_", "MLFLOW_"))}
    done = subprocess.run([sys.executable, "-c", CALLS], cwd=folder, capture_output=True, text=True, timeout=300,
                          input=json.dumps({"blocked": blocked(), "calls": {name: words for name, (words, _) in EVERY.items()}}),
                          env=plain | {"RAGWB_HOME": str(folder / "home"), "RAGWB_WORKERS": "1"} | environment)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {command: bug for command, _, _, bug in found if bug} == {}
    return {command: (code, output) for command, code, output, _ in found}


def extras(found: dict[str, tuple[int, str]]) -> dict[str, str]:
    "The extra that each command asked for."
    return {command: match[1] for command, (_, output) in found.items() if (match := EXTRA.search(output))}


def test_every_command_works_or_names_its_extra(folder: Path) -> None:
    assert {command.partition(" --")[0] for command in EVERY} == commands(main), "a command that is not called here, or one that is gone"
    assert {"mlflow", "papermill", "nbformat", "ragas", "sklearn", "matplotlib", "boto3"} <= set(blocked())
    found = called(folder)
    assert extras(found) == {command: extra for command, (_, extra) in EVERY.items() if extra}
    assert found["verify"] == (0, "ok    reports/01_chunking\n")


def test_with_s3_every_command_that_opens_the_data_names_the_extra_aws(folder: Path) -> None:
    found = called(folder, RAGWB_STORAGE="s3://bucket/team")
    named = extras(found)
    of_a_file = {"route train", "route try"}  # of outcomes: they open no data
    assert {command for command, (code, _) in found.items() if code and command not in named} == {"doctor"} | of_a_file
    assert "→ pip install 'ragwb[aws]'" in found["doctor"][1] and named["ask --json"] == named["documents list"] == named["promote"] == "aws"


def test_a_question_of_the_local_model_imports_only_what_it_needs(folder: Path) -> None:
    def ran(*words: str) -> set[str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("RAGWB_", "AWS_", "LANGSMITH_"))}
        own = {"RAGWB_HOME": str(folder / "home"), "RAGWB_WORKERS": "1"}
        done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=120, env=plain | own)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split())

    ran("-c", "from ragwb.cli import main; main(['ingest', 'data/docs'])")
    loaded = ran("-c", ASKED)
    assert "lancedb" in loaded and "ragwb.generation.extractive" in loaded
    assert SPARED & loaded == set()
    assert len(loaded) < 1_250, "a command that asks one question has come to load more modules: python -X importtime -c '...' names them"
