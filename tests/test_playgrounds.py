"The playgrounds run from top to bottom without a person."

import pytest
from notebooks import ROOT, NotebookFailed, execute

PLAYGROUNDS = sorted((ROOT / "experiments/playgrounds").glob("*.ipynb"))


def test_all_three_are_there():
    assert [path.stem for path in PLAYGROUNDS] == ["chunking", "prompts", "retrieval"]


@pytest.mark.parametrize("path", PLAYGROUNDS, ids=lambda path: path.stem)
def test_playground(path):
    try:
        notebook = execute(path)
    except NotebookFailed as failed:
        pytest.fail(str(failed), pytrace=False)
    drawn = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs if "text/html" in output.get("data", {})]
    assert drawn, "nothing was drawn"
