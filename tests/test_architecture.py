"Rooms: imports only go down, and pure modules stay pure. The contracts are in pyproject.toml under [tool.importlinter]."

import subprocess
import sys
from pathlib import Path

from notebooks import ROOT


def test_imports_go_down(tmp_path):
    done = subprocess.run([Path(sys.executable).parent / "lint-imports", "--cache-dir", tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
