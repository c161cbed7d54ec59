"Rooms: imports only go down, and pure modules stay pure. The contracts are in pyproject.toml under [tool.importlinter]."

import ast
import subprocess
import sys
from pathlib import Path

from notebooks import ROOT


def test_imports_go_down(tmp_path):
    done = subprocess.run([Path(sys.executable).parent / "lint-imports", "--cache-dir", tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_tables_are_used_in_indexing_only():
    "A module that can hold a collection or a store asks it by its methods: LanceDB's table and connection are for ragwb.indexing."
    holders = ("from ragwb.indexing", "from ..indexing", "from .indexing", "from ragwb.workbench", "from ..workbench")
    used = []
    for path in sorted((ROOT / "ragwb").rglob("*.py")):
        source = path.read_text("utf-8")
        if path.parent.name != "indexing" and any(holder in source for holder in holders):
            used += [(path.name, node.lineno) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and node.attr in ("table", "lance", "database")]
    assert not used
