"Every notebook runs in a fresh kernel and says what is committed."

import nbformat
import pytest
from notebooks import NOTEBOOKS, NotebookFailed, differences, execute


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path):
    committed = nbformat.read(path, as_version=4)
    try:
        fresh = execute(path)
    except NotebookFailed as failed:
        pytest.fail(str(failed), pytrace=False)
    if stale := list(differences(committed, fresh)):
        pytest.fail(f"{path.name}: run `make notebooks`, or find out why it changed\n\n" + "\n".join(stale), pytrace=False)
