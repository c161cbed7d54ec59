"The site builds offline from what is committed, every page is reached and every link leads somewhere."

import subprocess
import sys

import pytest
from links import broken
from notebooks import PAGES, ROOT


@pytest.mark.slow
def test_every_page_is_built_and_its_links_lead_somewhere(tmp_path):
    site = tmp_path / "html"
    done = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "nbs", site], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # a warning is an error
    assert not [page for page in PAGES.values() if not (site / f"{page}.html").is_file()]
    assert not list(broken(site))
    page = (site / "06_retrieval/01_fusion.html").read_text("utf-8")
    assert "data:image/" in page or "_images/" in page
    assert "default_exp" not in page  # outputs are shown, bookkeeping is not


def test_broken_links_are_found(tmp_path):
    (tmp_path / "there.html").write_text("<p id='place'>Here.</p>")
    links = ("there.html#place", "there.html#nowhere", "gone.html", "gone.png")
    (tmp_path / "page.html").write_text("".join(f"<a href='{link}'>x</a>" for link in links) + "<script src='https://elsewhere.example/x.js'></script>")
    found = "\n".join(broken(tmp_path))
    assert "there.html#place" not in found
    assert all(link in found for link in (*links[1:], "loads https://elsewhere.example/x.js"))
    assert len(found.splitlines()) == 4


def test_a_link_out_of_the_site_to_a_missing_file_is_an_error(tmp_path):
    sys.path.insert(0, str(ROOT / "nbs"))
    try:
        from conf import outside
    finally:
        sys.path.pop(0)
    assert outside("guides/x", "[reports](../../reports/README.md)") == "<a href='../reports/README.md'>reports</a>"
    assert outside("guides/x", "[make](../../Makefile)") == "<a href='https://github.com/ragwb/ragwb/blob/main/Makefile'>make</a>"
    assert outside("guides/x", "[page](../results.ipynb)") == "[page](../results.ipynb)"
    with pytest.raises(FileNotFoundError, match=r"guides/x links to gone\.md, which is not there"):
        outside("guides/x", "[gone](../../gone.md)")
