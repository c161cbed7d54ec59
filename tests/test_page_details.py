"Web pages with every feature of their reader (`ragwb.documents.html`), and the exact text that a person reads on them."

import pytest

from ragwb.documents.document import Document
from ragwb.documents.html import has_contact, parse_tree
from ragwb.documents.parsing import parse


def page(body: str, head: str = "<title>t</title>", attributes: str = "") -> Document:
    return parse(f"<html {attributes}><head>{head}</head><body>{body}</body></html>".encode(), "dir/a.html")


PAGES = {
    "lists in lists, their numbers, an empty item": (
        "<ul><li>a<ul><li>b<ol start=3><li>c<li>d</ol></ul><li>e</ul><ol><li>x<li><li>y</ol><ol start=x><li>z</ol><li>none",
        "- a\n  - b\n    3. c\n    4. d\n- e\n1. x\n3. y\n1. z\n- none",
    ),
    "headings, anchors and powers": (
        "<h1>T <a href=#t>¶</a></h1><h6>six</h6><h7>no</h7><p>a<sup>2</sup> b<sup>nd</sup> <math><msup><mi>x</mi><mn>2</mn></msup></math> <sup> 3 </sup></p>",
        "T\n\nsix\n\nno\n\na^2 bnd x^2 ^3",
    ),
    "addresses of links, each once": (
        "<p><a href='mailto:a@b.c'>Write</a> <a href='tel:+41 5'>Call</a> <a href='https://x.example/'>X</a> <a "
        "href='https://x.example/'>again</a> <a href='http://y.example/p'>y.example/P</a> "
        f"<a href=#top>top</a> <a href='https://{'l' * 200}'>long</a> <a href='https://{'l' * 201}'>longer</a></p><h2><a href='https://z.example'>Head</a></h2>",
        f"Write (a@b.c) Call (+41 5) X (https://x.example/) again y.example/P top long (https://{'l' * 200}) longer\n\nHead",
    ),
    "pictures that say something": (
        "<p><img alt='short'><img alt='a longword'><img alt='two words only'><img alt='plan.example.png'><img "
        "alt='Plan des Hauses am See'><img alt='地図です。東門の北側にある建物'></p>",
        "[two words only] [Plan des Hauses am See] [地図です。東門の北側にある建物]",
    ),
    "frames of a site and of an article": (
        "<form><p>kept, since it has content</p></form><form><input>Search</form><aside>beside</aside><header>Site</header><header><h1>Title</h1></header><nav>nav</nav>"
        "<article><aside>inside</aside><header>its head</header></article>",
        "kept, since it has content\n\nTitle\n\ninside\n\nits head",
    ),
    "terms, quotations, details": (
        "<dl><dt>Term</dt><dd>Means</dd></dl><blockquote>quote</blockquote><details><summary>More</summary>inner</details><hr>after",
        "Term: Means\n\nquote\n\nMore\n\ninner\n\nafter",
    ),
    "what is hidden, and what a person can open": (
        "<p hidden>h</p><p aria-hidden=true>a</p><p style='display: none'>d</p><div role=tabpanel hidden>panel</div><p hidden=until-found>"
        "found</p><div id=x hidden>opened</div><a data-toggle=collapse href=#x>open</a>"
        "<div id=y hidden>no</div><button aria-controls=y>Go</button><div id=z hidden>yes</div><button aria-controls='w z'>What is it?</button>",
        "panel\n\nfound\n\nopened\n\nopen\n\nyes\n\nWhat is it?",
    ),
    "a table with spans, two header rows and a row across": (
        "<table><caption>Cap</caption><tr><th rowspan=2>Model<th colspan=2>Flow<tr><th>l<th>bar<tr><td rowspan=2>P1<td>"
        "1<td>2<tr><td>3<td>4<tr><td colspan=3>All at rest<tr><td>P2<td>5</table>",
        "Cap\n\nModel: P1 | Flow l: 1 | Flow bar: 2\nModel: P1 | Flow l: 3 | Flow bar: 4\n\nAll at rest\n\nModel: P2 | Flow l: 5",
    ),
    "names and values, twice": ("<table><tr><th>Owner<td>Ann<tr><th>Due<td>May</table><table><tr><td>1<td>2<tr><td>3<td>4</table>", "Owner: Ann\nDue: May\n\n1 | 2\n3 | 4"),
    "a head and a row of names below": ("<table><thead><tr><td>A<td>B</thead><tr><td>1<td>2<tr><th>3<th>4<tr><th>C<td>5</table>", "A: 1 | B: 2\nA: 3 | B: 4\nA: C | B: 5"),
    "a head above names and values": ("<table><tr><th>Item<th>Is<tr><th>Owner<td>Ann<tr><th>Due<td>May</table>", "Item: Owner | Is: Ann\nItem: Due | Is: May"),
    "tables that arrange the page": ("<table><tr><td>only</table><table><tr><td><table><tr><td>in<td>1<tr><td>out<td>2</table><td>x</table>", "only\n\nin: 1\nout: 2\n\nx"),
    "tables of lists": (
        "<table><tr><td>A<td>3<tr><td>B<td><ul><li>x<li>y</ul><tr><td>C<td>6</table><table><tr><td>D<td><ul><li>y</ul></table>",
        "A | 3\nB | x; y\nC | 6\n\nD\n\n- y",
    ),
    "spans that are no numbers": ("<table><tr><td rowspan=-1 colspan=x>a<td>1<tr><td>b<td>2</table>", "a | 1\nb | 2"),
    "a span that reaches to the end": ("<table><tr><td rowspan=0>a<td>1<tr><td>2</table>", "a | 1\na | 2"),
    "buttons that name what they open": (
        "<p><button>Buy</button><button aria-controls=q>Long enough title</button></p><p><button aria-controls=q2>Two words</button>"
        "<button aria-controls=q3>Why?</button></p><p><button role=tab>A tab of words</button>"
        "<button>Three words here</button></p><div><h2><span><button>Deep</button></span></h2></div>",
        "Long enough title\n\nWhy?\n\nA tab of words\n\nDeep",
    ),
    "text around blocks, breaks, scripts, hyphens": (
        "<div>one<p>two</p>three</div><p>a<br>b</p><p>x<script>no</script>y</p><p>so&shy;ft</p>",
        "one\n\ntwo\n\nthree\n\na b\n\nxy\n\nsoft",
    ),
    "a footer with a telephone": (
        "<p>x <a href='https://w.example'>w</a></p><footer>Call 555 0188 99<a href='/t'>Terms</a> <a href='tel:5'>ring</a><footer>inner</footer></footer><p><a href='/v'>v</a></p>",
        "x w (https://w.example)\n\nCall 555 0188 99 ring (5)\n\ninner\n\nv",
    ),
    "struck words": ("<s>a</s><p><del>b</del> <span style='text-decoration:line-through'>c</span></p>", "~~a~~\n\n~~b~~ ~~c~~"),
    "preformatted lines": ("<pre>a\n  b  \n<span>c</span></pre><pre></pre><p>x</p>", "a\n  b\nc\n\nx"),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_read_as_a_person_sees_them(name: str) -> None:
    body, text = PAGES[name]
    assert page(body).text == text


def test_headings_and_facts_of_a_page() -> None:
    read = page(
        "<h1>One</h1><h3><span>Three</span></h3><p>x</p>",
        "<title> T  </title><meta name=Author content='Ann'><meta property='og:title' content='OG'><meta name=viewport content=v><meta name=description content=''>",
        "lang=de",
    )
    assert (read.title, read.metadata) == ("T", {"author": "Ann", "og:title": "OG", "language": "de", "encoding": "utf-8"})
    assert [(heading.level, heading.title) for heading in read.headings] == [(1, "One"), (3, "Three")]
    assert page("<h2>Head</h2>", "").title == "Head" and page("<p>x</p>", "").title == "a.html" and page("<p>x</p>").metadata == {"encoding": "utf-8"}


@pytest.mark.parametrize(
    ("footer", "says"),
    [
        ("2019 – 2025", False),
        ("12.04.2025", False),
        ("Call 555 01", False),
        ("a@b", True),
        ("8:00 to 17:00", True),
        ("5 pm", True),
        ("555 0188", True),
        ("1.555 0188", False),
        ("12345 67 890 12345", True),
        ("12345 67 890 123456", False),
        ("open", False),
        ("<a href='mailto:x'>w</a>", True),
        ("<a>w</a><a href='/x'>v</a>", False),
        ("<address>Pier 4</address>", True),
    ],
)
def test_a_footer_that_says_how_to_reach_someone_is_told(footer: str, says: bool) -> None:
    assert has_contact(parse_tree(f"<footer>{footer}</footer>")) is says


LONG = "A sentence that is long enough for the main part of a page, which needs more than a hundred characters."
MAIN = {
    "text beside the main part": (
        f"<main><p>{LONG}</p></main><p>Beside the main part, and long enough to be read.</p><p>short</p><div class=promo>{LONG}</div>",
        [LONG, "Beside the main part, and long enough to be read."],
    ),
    "a site's header is no title beside one": (f"<main><h1>H</h1><p>{LONG}</p></main><header><h1>Site header words</h1></header>", ["H", LONG]),
    "a header is the title where there is none": (f"<header><h1>Site header words</h1></header><main><p>{LONG}</p></main><header>x</header>", ["Site header words", LONG]),
    "a main part of a few words is none": ("<main>short</main><p>all</p>", ["short", "all"]),
    "a hundred characters are too few": (f"<main>{'x' * 100}</main><p>all</p>", ["x" * 100, "all"]),
    "one more is enough": (f"<main>{'x' * 101}</main><p>all</p>", ["x" * 101]),
    "a footer deep in the page, what is hidden": (
        f"<div role=main>{LONG}<main>in</main></div><div><footer>Call 555 0188</footer></div><div><footer>no</footer></div><div hidden>{LONG}<footer>Call 555 0199</footer></div>",
        [LONG, "in", "Call 555 0188"],
    ),
    "half of it links": (
        f"<main>{LONG}</main><div><a href=/x>{'l' * 41}</a>{'t' * 41}</div><div><a href=/x>{'l' * 42}</a>{'u' * 41}</div><div>{'v' * 40}</div><div>{'w' * 39}</div>",
        [LONG, "l" * 41 + "t" * 41, "v" * 40],
    ),
    "silent parts do not count": (f"<main>{LONG}</main><div>{'t' * 30}<script>{LONG}</script><i hidden>{LONG}</i></div>", [LONG]),
    "two main parts": (f"<div><main>{LONG}</main></div><div><p>{'p' * 40}</p><main>{LONG}</main></div>", [LONG, "p" * 40, LONG]),
}


@pytest.mark.parametrize("name", MAIN)
def test_the_main_part_of_a_page_and_what_is_text_beside_it(name: str) -> None:
    body, parts = MAIN[name]
    assert page(body).text == "\n\n".join(parts)
