"""The site: Sphinx renders the notebooks as they are committed. `make docs` builds it into _docs/html, offline, and fails on a broken link."""

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
REPOSITORY = "https://github.com/ragwb/ragwb/blob/main/"
OUTSIDE = re.compile(r"\[([^\[\]\n]+)\]\(((?:\.\./)+[^){}#\s]*)\)")  # a Markdown link that leads out of a page's folder
CHAPTER = re.compile(r"\d\d_\w+")

project, author, copyright = "ragwb", "the ragwb authors", "the ragwb authors, Apache License 2.0"
extensions = ["myst_nb", "sphinx_copybutton"]
root_doc = "index"
exclude_patterns = ["**/.ipynb_checkpoints"]
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]  # a page may begin a section at any level; Panel's own MIME types have HTML beside them

nb_execution_mode = "off"  # tests/test_notebooks.py holds that the committed outputs are what running gives
nb_merge_streams = True
nb_render_markdown_format = "myst"  # so that links in outputs are checked too
myst_enable_extensions = ["colon_fence"]  # no dollarmath: a dollar is a price here
myst_heading_anchors = 3

html_theme = "furo"
html_title = "ragwb"
html_static_path = ["images/site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True


def one_line(page: Path) -> tuple[str, str]:
    "A page's title, and what its second line says it holds."
    text = page.read_text("utf-8")
    if page.suffix == ".ipynb":
        text = "".join(json.loads(text)["cells"][0]["source"])
    title, _, rest = text.strip().partition("\n")
    return title.removeprefix("# "), next((line.removeprefix("> ") for line in rest.splitlines() if line.startswith("> ")), "")


def contents(pages: Sequence[Path]) -> str:
    "A table of pages, and the entries of the navigation."
    parent = HERE if pages[0].name == "README.md" else pages[0].parent
    described = [(path.relative_to(parent), *one_line(path)) for path in pages]
    rows = "".join(f"| [{title}]({path}) | {line} |\n" for path, title, line in described)
    return f"\n\n| | |\n|---|---|\n{rows}\n```{{toctree}}\n:hidden:\n\n{''.join(f'{path.with_suffix(str())}{chr(10)}' for path, *_ in described)}```\n"


def outside(docname: str, text: str) -> str:
    "Links that lead out of nbs/: to the copied reports, or to the repository."
    def moved(link: re.Match[str]) -> str:
        path = os.path.normpath((HERE / docname).parent / link[2])
        inside = os.path.relpath(path, ROOT)
        if path.startswith(f"{HERE}{os.sep}") or inside.startswith(".."):
            return link[0]
        if not Path(path).exists():
            raise FileNotFoundError(f"{docname} links to {inside}, which is not there")
        to = os.path.relpath(ROOT / inside, ROOT / Path(docname).parent) if inside.startswith("reports/") else REPOSITORY + inside
        return f"<a href='{to}'>{link[1]}</a>"

    return OUTSIDE.sub(moved, text)


def prepared(docname: str, notebook: dict[str, Any]) -> dict[str, Any]:
    "A notebook as its page shows it: without nbdev's bookkeeping, its links as they are on the site."
    for cell in notebook["cells"]:
        text, tags = "".join(cell["source"]), cell["metadata"].setdefault("tags", [])
        if cell["cell_type"] == "markdown":
            cell["source"] = outside(docname, text)
        elif text.startswith("#| default_exp"):
            tags.append("remove-cell")
        elif "hide-input" in tags:
            tags.append("remove-input")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/markdown" in data:
                data["text/markdown"] = outside(docname, "".join(data["text/markdown"]))
    return notebook


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    "A page as Sphinx reads it."
    if Path(app.env.doc2path(docname)).suffix == ".ipynb":
        source[0] = json.dumps(prepared(docname, json.loads(source[0])))
        return
    source[0] = outside(docname, source[0])
    folder, name = os.path.split(docname)
    if docname == "notebooks":
        source[0] += contents(sorted(HERE.glob("[0-9][0-9]_*/README.md")))
    elif name == "README" and (CHAPTER.fullmatch(folder) or folder in ("adr", "guides")):
        source[0] += contents(sorted(path for path in (HERE / folder).iterdir() if path.suffix in (".ipynb", ".md") and path.name != "README.md"))


def copy_reports(app: Sphinx, error: Exception | None) -> None:
    "The reports beside the site: they have an index and pages of their own."
    if not error and app.builder.format == "html":
        shutil.copytree(ROOT / "reports", Path(app.outdir) / "reports", dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))


def setup(app: Sphinx) -> dict[str, Any]:
    "Called by Sphinx."
    app.connect("source-read", read)
    app.connect("build-finished", copy_reports)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
