"""Runs the notebooks. `python tests/tools/notebooks.py` re-runs them all in order, keeps their outputs, cleans, exports and writes README.md;
`python tests/tools/notebooks.py 06_retrieval/01_fusion 05_indexing` does so with this page and this chapter alone."""

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbdev.clean import clean_nb

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "nbs").rglob("[!.]*.ipynb"))
PAGES = {path: path.relative_to(ROOT / "nbs").with_suffix("").as_posix() for path in NOTEBOOKS}  # as 06_retrieval/01_fusion
TIMEOUT = 180  # seconds for one cell
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
SCRIPTS = re.compile(r"javascript|holoviews")  # in a MIME type
LONG_DECIMAL = re.compile(r"\d+\.\d{6,}(?:e-?\d+)?")
NOT_RUN = re.compile(r"^#\|\s*eval:\s*false", re.MULTILINE)


class NotebookFailed(Exception):
    "A cell that failed: which, its source, and the error without its page of traceback."


@cache
def warm_kernels() -> KernelSpecManager:
    "The kernel `warm` of tests/tools/warm_kernels.py, whose server ends with this process."
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    script, place = str(Path(__file__).with_name("warm_kernels.py")), str(folder / "socket")
    environment = dict(os.environ) | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}  # read when matplotlib is imported
    server = subprocess.Popen([sys.executable, script, "serve", place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True)
    assert server.stdin and server.stdout
    atexit.register(server.stdin.close)
    if server.stdout.readline() != b"ready\n":
        raise RuntimeError("the server of warm kernels did not start: see its message above")
    (folder / "warm").mkdir()
    command = [sys.executable, "-S", script, "kernel", place, "{connection_file}"]
    (folder / "warm/kernel.json").write_text(json.dumps({"argv": command, "display_name": "warm", "language": "python"}))
    return KernelSpecManager(kernel_dirs=[str(folder)], ensure_native_kernel=False)


def execute(path: Path) -> Any:
    "The notebook run from top to bottom in a fresh kernel, in its folder. Raises NotebookFailed."
    notebook = nbformat.read(path, as_version=4)
    manager = AsyncKernelManager(kernel_name="warm", kernel_spec_manager=warm_kernels())
    client = NotebookClient(notebook, km=manager, timeout=TIMEOUT, resources={"metadata": {"path": str(path.parent)}})
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAGWB_")}
    number, cell = 0, None
    try:
        with client.setup_kernel(env=environment, cleanup_kc=True):
            for number, cell in enumerate(notebook.cells):
                if cell.cell_type == "code" and not NOT_RUN.search(cell.source):
                    client.execute_cell(cell, number)
    except CellExecutionError as error:
        arrows = [line for line in COLOURS.sub("", error.traceback).splitlines() if re.match(r"\s*-+> *\d+ ", line)]
        arrows = list(dict.fromkeys([*arrows[:1], *arrows[-1:]]))  # where in the cell, and where it ended
        reason = "\n".join([*arrows, f"{error.ename}: {COLOURS.sub('', error.evalue)}"])
        raise NotebookFailed(f"{PAGES[path]}, cell {number}:\n\n{cell.source}\n\n{reason}") from None
    except (CellTimeoutError, DeadKernelError) as error:
        raise NotebookFailed(f"{PAGES[path]}, cell {number}:\n\n{cell.source}\n\n{type(error).__name__}: {str(error).splitlines()[0]}") from None
    return notebook


def same_digits(text: str) -> str:
    "Long decimals with five significant digits: the last ones differ between processors."
    return LONG_DECIMAL.sub(lambda number: f"{float(number[0]):.5g}", text)


def texts(outputs: list[Any]) -> Iterator[tuple[str, str]]:
    "What a cell's outputs say: (kind, text), streams joined. Pictures differ with fonts and are left out, but not that there is one."
    said = ""
    for output in outputs:
        if output["output_type"] == "stream":
            said += output["text"]
        elif output["output_type"] == "error":
            yield "error", f"{output['ename']}: {output['evalue']}"
        else:
            for kind, data in sorted(output["data"].items()):
                yield kind, "a picture" if kind.startswith("image/") else same_digits(str(data).rstrip())
    if said:
        yield "printed", same_digits(said.rstrip())


def is_script(data: dict[str, Any]) -> bool:
    "True for what only a page runs."
    return any(SCRIPTS.search(kind) for kind in data) or "".join(data.get("text/html", "")).startswith("<script")


def as_committed(notebook: Any) -> Any:
    """The notebook as nbdev-clean would write it, without two things that differ from run to run: scripts that Panel sends to
    a notebook's page, and the plain `repr` beside an HTML or Markdown one, which nobody sees."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if not is_script(output.get("data", {}))]
        for data in (output["data"] for output in cell.outputs if "data" in output):
            if {"text/html", "text/markdown"} & set(data):
                data.pop("text/plain", None)
    clean_nb(notebook, allowed_cell_metadata_keys=["tags"])
    return notebook


def differences(committed: Any, fresh: Any) -> Iterator[str]:
    "Every code cell whose text outputs are not those that are committed."
    for number, (old, new) in enumerate(zip(as_committed(committed).cells, as_committed(fresh).cells, strict=True)):
        if old.cell_type != "code" or NOT_RUN.search(old.source):
            continue
        was, now = list(texts(old.outputs)), list(texts(new.outputs))
        if was != now:
            missing, added = [item for item in was if item not in now], [item for item in now if item not in was]
            shown = "\n".join(f"  {sign} {kind}: {text[:600]}" for sign, found in (("-", missing), ("+", added)) for kind, text in found) or "  the same outputs in another order"
            yield f"cell {number}: the outputs are not those that are committed (- committed, + now)\n\n{old.source}\n\n{shown}\n"


def tool(*command: str) -> None:
    "One of the environment's own commands, in the project's folder."
    subprocess.run([Path(sys.executable).parent / command[0], *command[1:]], cwd=ROOT, check=True)


def readme() -> str:
    "README.md as nbs/index.ipynb gives it."
    from ragwb.experiments.published import readme

    return readme(json.loads((ROOT / "nbs/index.ipynb").read_text("utf-8")))


def main(names: list[str]) -> None:
    "Re-runs notebooks in place: all, or the pages and chapters that are named."
    if unknown := set(names) - {part for page in PAGES.values() for part in (page, page.partition("/")[0])}:
        sys.exit(f"no notebook {', '.join(sorted(unknown))} in nbs/")
    tool("nbdev-export")
    for path, page in PAGES.items():
        if not names or {page, page.partition("/")[0]} & set(names):
            print(page, flush=True)
            fresh = path.with_suffix(".fresh")
            nbformat.write(as_committed(execute(path)), fresh)
            fresh.replace(path)  # whole: another may be exporting
            tool("nbdev-clean", "--fname", str(path))
    tool("nbdev-export")
    (ROOT / "README.md").write_text(readme(), "utf-8")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except NotebookFailed as failed:
        sys.exit(str(failed))
