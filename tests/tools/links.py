"""Checks the links of a built site: `python tests/tools/links.py _docs/html`. Every local link leads to a page and an anchor that are there,
and nothing is loaded from elsewhere."""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import html

LOADED = {"link", "script", "img", "iframe", "source"}  # what a browser fetches by itself


@cache
def anchors(page: Path) -> set[str]:
    "The ids of a page."
    return set(html.parse(str(page)).xpath("//@id | //@name"))


def broken(site: Path) -> Iterator[str]:
    "What is wrong with the links of a site."
    for page in sorted(site.rglob("*.html")):
        if "reports" in page.relative_to(site).parts:  # written by nbconvert; tests/test_reports.py is about these
            continue
        for element, _, link, _ in html.parse(str(page)).getroot().iterlinks():
            if element.xpath("ancestor::div[contains(@class, 'text_html')]"):
                continue  # what a demonstration wrote: its links lead where its own files are
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if element.tag in LOADED and parts.scheme != "data" and element.get("rel") != "canonical":
                    yield f"{page.relative_to(site)} loads {link} from elsewhere"
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not target.is_file():
                yield f"{page.relative_to(site)} links to {link}, which is not there"
            elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in anchors(target):
                yield f"{page.relative_to(site)} links to {link}: no such place on that page"


if __name__ == "__main__":
    if found := list(dict.fromkeys(broken(Path(sys.argv[1]).resolve()))):
        sys.exit("\n".join(found))
