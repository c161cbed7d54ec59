"Every notebook runs in a fresh kernel and says what is committed."

import nbformat
import pytest
from notebooks import NOTEBOOKS, PAGES, NotebookFailed, differences, execute


@pytest.mark.parametrize("path", NOTEBOOKS, ids=PAGES.get)
def test_notebook(path):
    try:
        problems = list(differences(nbformat.read(path, as_version=4), execute(path)))
    except NotebookFailed as failed:
        problems = [str(failed)]
    else:
        problems = problems and [f"{PAGES[path]}: run `make notebooks`, or find out why it changed", *problems]
    if problems:
        pytest.fail("\n\n".join(problems), pytrace=False)
