"The state of the project: exports, clean notebooks, README, requirements, paths, sizes. `make check` runs this file alone."

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import nbformat
import pytest
import targets
from notebooks import NOTEBOOKS, PAGES, ROOT, readme
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
BIN = Path(sys.executable).parent
CHAPTER = re.compile(r"\d\d_\w+/")  # begins the name of a page that exports a module; the other pages are the site's and README's and may import everything
OPTIONAL = {"langchain"}  # imported only where a user names another provider, with a word on what to install


def project_files() -> list[Path]:
    "What is in the repository or about to be."
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def code_cells(path: Path) -> list[str]:
    "The sources of a notebook's code cells."
    return ["".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]


def module_of(path: Path) -> str:
    "The module that a notebook exports, or nothing."
    names = [found[1] for source in code_cells(path) if (found := re.search(r"^#\|\s*default_exp:?\s+(\S+)", source, re.MULTILINE))]
    assert len(names) <= 1, f"{PAGES[path]} has several default_exp: {', '.join(names)}"
    return names[0] if names else ""


def parsed(source: str) -> ast.Module | None:
    "A cell's syntax tree; None for one with magics."
    try:
        return ast.parse(source)
    except SyntaxError:
        return None


def own_imports(source: str) -> set[str]:
    "The dotted names that a cell imports from ragwb, also inside functions: modules, and what may be a module or a name in one."
    found: set[str] = set()
    for node in ast.walk(parsed(source) or ast.Module([], [])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.removeprefix("ragwb.") for name in found if name.startswith("ragwb.")}


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    "A copy of the notebooks, exported and cleaned."
    folder = tmp_path_factory.mktemp("rebuilt")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "nbs").mkdir()
    (folder / "ragwb").mkdir()
    shutil.copy(ROOT / "ragwb/__init__.py", folder / "ragwb")
    for path in NOTEBOOKS:
        (at := folder / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, at)
    for command in ("nbdev-export", "nbdev-clean"):
        subprocess.run([BIN / command], cwd=folder, check=True, capture_output=True)
    return folder


def test_exports(rebuilt):
    here, fresh = ({path.relative_to(folder / "ragwb").as_posix(): path.read_text("utf-8") for path in (folder / "ragwb").rglob("*.py")} for folder in (ROOT, rebuilt))
    assert not (orphans := sorted(set(here) - set(fresh))), f"no notebook exports {', '.join(orphans)}: delete them, or write their notebook"
    assert not (missing := sorted(set(fresh) - set(here))), f"not exported yet: {', '.join(missing)}: run nbdev-export"
    assert not (stale := sorted(name for name in fresh if fresh[name] != here[name])), f"not what their notebooks export: {', '.join(stale)}: run nbdev-export"


def test_clean(rebuilt):
    dirty = [PAGES[path] for path in NOTEBOOKS if path.read_bytes() != (rebuilt / path.relative_to(ROOT)).read_bytes()]
    assert not dirty, f"not clean: {', '.join(dirty)}: run nbdev-clean"


def test_one_notebook_per_module():
    of: dict[str, list[str]] = {}
    for path, page in PAGES.items():
        if CHAPTER.match(page):
            of.setdefault(module_of(path), []).append(PAGES[path])
    assert "" not in of, f"no default_exp in {', '.join(of[''])}"
    assert not (shared := {module: names for module, names in of.items() if len(names) > 1}), f"notebooks that overwrite each other's module: {shared}"


def test_an_exported_cell_can_be_read_at_once():
    "At most 60 lines: what is longer is two things, or wants a name for its parts."
    long = []
    for path in sorted((ROOT / "nbs").rglob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            lines = len(cell.source.strip().splitlines()) - 1
            if cell.cell_type == "code" and cell.source.startswith("#| export") and lines > 60:
                long.append(f"{path.relative_to(ROOT)} {cell.id} ({lines} lines)")
    assert not long, f"exported cells of more than 60 lines: {', '.join(long)}"


def test_only_earlier_modules():
    order = {module_of(path): number for number, path in enumerate(NOTEBOOKS)}
    wrong = [f"{PAGES[path]} imports {name}" for number, path in enumerate(NOTEBOOKS) if CHAPTER.match(PAGES[path])
             for source in code_cells(path) for name in own_imports(source) if order.get(name, -1) > number]
    assert not wrong, f"only earlier notebooks may be imported: {'; '.join(wrong)}"


def test_readme():
    same = (ROOT / "README.md").read_text("utf-8") == readme()
    assert same, "README.md is not what nbs/index.ipynb gives: run make notebooks"


def test_versions_agree():
    namespace: dict[str, str] = {}
    exec((ROOT / "ragwb/__init__.py").read_text("utf-8"), namespace)
    assert namespace["__version__"] == PROJECT["project"]["version"]
    assert f"## {PROJECT['project']['version']}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


USED = ("aws", "oidc", "openai", "ray", "redis", "traces", "workbench")  # extras that the package imports where they are needed


def requirements(*extras: str) -> list[Requirement]:
    "What pyproject.toml asks for; an extra that names ragwb itself only takes other extras along."
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *(text for extra in extras for text in project["optional-dependencies"][extra])]
    return [Requirement(text) for text in wanted if not text.startswith("ragwb[")]


def test_pins():
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert not (odd := [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.!+]+", line)]), f"not name==version: {odd}"
    pins = {canonicalize_name(name): pinned for name, pinned in (line.split("==") for line in lines)}
    assert len(pins) == len(lines), "a package is pinned twice"
    for wanted in requirements(*USED, "dev", "bench"):
        pinned = pins.get(canonicalize_name(wanted.name))
        assert pinned and wanted.specifier.contains(pinned), f"{wanted} is not met by constraints.txt: {pinned or 'no pin'}"
    for wanted in requirements(*USED, "dev"):
        assert version(wanted.name) == pins[canonicalize_name(wanted.name)], f"{wanted.name} {version(wanted.name)} is installed, not the pinned one: run make dev"


def test_what_is_imported_is_required():
    declared = {canonicalize_name(wanted.name) for wanted in requirements(*USED)}
    sources = packages_distributions()
    undeclared = set()
    for path in (ROOT / "ragwb").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in {name.split(".")[0] for name in names} - OPTIONAL - set(sys.stdlib_module_names) - {"ragwb"}:
                if not declared & {canonicalize_name(package) for package in sources.get(name, [name])}:
                    undeclared.add(f"{name} in {path.relative_to(ROOT)}")
    assert not undeclared, f"not among the dependencies of pyproject.toml: {', '.join(sorted(undeclared))}"


PAGE = re.compile(r"(?<![\w/])(?:nbs/)?(\d\d_[a-z_]+/\d\d_[a-z0-9_]+)")  # as a comment, a message or a link names a page


def test_pages_that_are_named_are_there():
    there, gone = set(PAGES.values()), set[str]()
    for path in project_files():
        if path.suffix in (".py", ".md", ".ipynb", ".ini", ".toml", ".yaml", ".yml", "") and "reports" not in path.relative_to(ROOT).parts:
            gone |= {f"{path.relative_to(ROOT)} names {page}" for page in PAGE.findall(path.read_text("utf-8", errors="ignore")) if page not in there}
    assert not gone, "pages that are not there: " + "; ".join(sorted(gone))


REGISTRIES = re.compile("|".join(("py" + r"pi\.org", r"files\.python" + "hosted", r"registry\.np" + "mjs", r"deb\.deb" + r"ian\.org", "--(?:extra-)?index" + "-url")))
MACHINES = re.compile(r"(?<![\w.~-])/(?:wo" + r"rk|ro" + r"ot|home/\w+|Users/\w+)/\w")


def test_no_address_of_one_machine():
    found = []
    for path in project_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {text[max(0, match.start() - 30):match.end() + 30]!r}" for pattern in (REGISTRIES, MACHINES) for match in pattern.finditer(text)]
    assert not found, "registries and paths of one machine do not belong into the project:\n" + "\n".join(found)


def test_sizes():
    large = [f"{path.relative_to(ROOT)} ({path.stat().st_size / 1e6:.1f} MB)" for path in project_files() if path.stat().st_size > 3e6]
    assert not large, f"over 3 MB: {', '.join(large)}"


def test_sample_is_what_its_sources_give():
    for option in ("--check", "--check-questions"):
        done = subprocess.run([sys.executable, ROOT / "experiments/data/build_sample.py", option], capture_output=True, text=True)
        assert done.returncode == 0, f"build_sample.py {option}: {done.stdout}{done.stderr}"


def test_what_needs_an_account_says_which_variable_it_lacks(tmp_path):
    "As `make targets` expects it of them; nothing is installed or changed before."
    assert {"deploy", "rollback", "data-sync", "plan", "apply", "pause", "resume"} <= targets.REFUSED.keys() <= {*targets.listed()}
    plain = {name: value for name, value in os.environ.items() if name not in ("ENV", "IMAGE", "URL", "MAKEFLAGS", "MAKELEVEL")}
    for target, told in targets.REFUSED.items():
        done = subprocess.run(["make", target, f"VENV={tmp_path}/venv"], cwd=ROOT, capture_output=True, text=True, env=plain)
        assert done.returncode == 2 and done.stderr.startswith(told), done.stdout + done.stderr
    assert not list(tmp_path.iterdir())
