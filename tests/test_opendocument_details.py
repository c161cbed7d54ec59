"OpenDocument texts and presentations with every feature of their reader (`ragwb.documents.opendocument`), and the exact text that a person reads in them."

import pytest
from test_office import odf


def q(text: str) -> str:
    return f"<text:p>{text}</text:p>"


# Lists.

LEVELS = (
    '<text:list-style style:name="N"><text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="." text:start-value="3"/>'
    '<text:list-level-style-number text:level="2" style:num-format="a" style:num-prefix="(" style:num-suffix=")"/><text:list-level-style-bullet text:level="3"/></text:list-style>'
    '<text:list-style style:name="R"><text:list-level-style-number style:num-format="I"/><text:list-level-style-number text:level="2" style:num-format=""/></text:list-style>'
)


def item(*content: str, start: str = "") -> str:
    return f"<text:list-item{start and f' text:start-value=#{start}#'.replace('#', chr(34))}>{''.join(content)}</text:list-item>"


def listed(*content: str, style: str = "") -> str:
    return f"<text:list{style and f' text:style-name=#{style}#'.replace('#', chr(34))}>{''.join(content)}</text:list>"


def test_lists_have_their_numbers_depths_and_headings() -> None:
    steps = listed(
        "<!-- c -->", item(q("one"), listed(item(q("a")), item(q("b"), listed(item(q("deep")))))), item(q("two")), item(q("seven"), start="7"), item(q("eight")), style="N"
    )
    parts = listed(item(q("roman")), item('<text:h text:outline-level="8">Chapter</text:h>'), item(listed(item(q("no number")))), style="R")
    read = odf("text", steps + parts + listed(item(q("dash")), item("<text:h>Dash head</text:h>"), item(q("dash"), start="4")), {"styles.xml": LEVELS})
    assert read.text == ("3. one\n  (a) a\n  (b) b\n    - deep\n4. two\n7. seven\n8. eight\nI roman\n\nII Chapter\n\n  - no number\n- dash\n\nDash head\n\n- dash")
    assert [(heading.level, heading.title) for heading in read.headings] == [(6, "II Chapter"), (1, "Dash head")]


# Lines and what lies beside them.


def test_lines_comments_frames_and_sections_of_a_text() -> None:
    line = (
        "<text:span>in <text:span>span</text:span></text:span><text:tab/>tab<text:line-break/>line <text:ruby><text:ruby-base>"
        "base</text:ruby-base><text:ruby-text>no</text:ruby-text></text:ruby>"
        '<text:page-number>3</text:page-number> end<!-- c --> tail <text:a xlink:href="https://a.example">here</text:a>'
    )
    comment = "<office:annotation>{}<text:p>Check</text:p><text:p>it</text:p></office:annotation>"
    body = (
        '<text:h text:outline-level="7">Deep</text:h><text:h>Top</text:h>'
        + q(line)
        + q(f"x{comment.format('<dc:creator>Ada</dc:creator>')}y")
        + comment.format("")
        + f"<text:section>{q('in a section')}</text:section><text:unknown>{q('no')}</text:unknown><draw:frame><svg:title>Title only</svg:title></draw:frame>"
        + f"<draw:frame><svg:desc>map.png</svg:desc></draw:frame><draw:custom-shape>{q('shape')}</draw:custom-shape>{q('last')}"
    )
    running = f"<style:master-page><style:header>{q('H') * 2}</style:header><style:footer>{q('F <text:page-number>2</text:page-number>')}</style:footer></style:master-page>"
    read = odf("text", body, {"styles.xml": running, "meta.xml": "<dc:title>Deed</dc:title><dc:creator>Bo</dc:creator>"})
    assert read.text == (
        "Page header: H.\n\nDeep\n\nTop\n\nin span tab line base end tail here (https://a.example)\n\nxy\n\nComment by Ada: Check it.\n\nComment: Check it.\n\nin a section\n\n"
        "Picture: Title only.\n\nshape\n\nlast\n\nPage footer: F."
    )
    assert [(heading.level, heading.title) for heading in read.headings] == [(6, "Deep"), (1, "Top")]
    assert (read.title, read.metadata, read.format) == ("Deed", {"title": "Deed", "author": "Bo"}, "odt")


# Tables.


def c(text: str, columns: int = 1, rows: int = 1, repeated: int = 1) -> str:
    return (
        f'<table:table-cell table:number-columns-spanned="{columns}" table:number-rows-spanned="{rows}" table:number-columns-repeated="{repeated}">'
        f"{''.join(map(q, text.split('/')))}</table:table-cell>"
    )


COVERED = "<table:covered-table-cell/>"


def row(*cells: str, repeated: int = 1) -> str:
    return f'<table:table-row table:number-rows-repeated="{repeated}">{"".join(cells)}</table:table-row>'


def table(*rows: str, head: str = "") -> str:
    return f"<table:table><table:table-column/>{f'<table:table-header-rows>{head}</table:table-header-rows>' if head else ''}{''.join(rows)}</table:table>"


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        (
            table(
                row(c("P1", rows=2), c("1"), c("2")),
                row(COVERED, c("3"), c("4")),
                row(c("P2"), c("both", 2), COVERED),
                row(c("P3"), c("x", repeated=2)),
                head=row(c("Model"), c("Flow", 2), COVERED) + row(c(""), c("l"), c("bar")),
            ),
            "Model: P1 | Flow l: 1 | Flow bar: 2\nModel: P1 | Flow l: 3 | Flow bar: 4\nModel: P2 | Flow l: both | Flow bar: both\nModel: P3 | Flow l: x | Flow bar: x",
        ),
        (table(row(c("sq", 2, 2), COVERED, c("1")), row(COVERED, COVERED, c("2")), row(c("a"), c("b"), c("3"))), "sq | sq | 1\nsq | sq | 2\na | b | 3"),
        (table(row(c("v", rows=3), c("1")), row(COVERED, c("2")), row(COVERED, c("3")), row(COVERED, c("4"))), "v | 1\nv | 2\nv | 3\n4"),
        (table(row(c("a/b")), row(c("c"))), "a\n\nb\n\nc"),
        (table(row(c("a/b"), c("7"))), "a b | 7"),
        (table(head=row(c("only"), c("head"))), "only | head"),
        (table(row(c("r"), c("5"), repeated=3)), "r | 5\nr | 5\nr | 5"),
        (table(row(c("", repeated=1000), c("x"), c("y"))), "x | y"),
    ],
)
def test_tables_of_a_text(drawn: str, text: str) -> None:
    assert odf("text", drawn).text == text


# Slides.


def frame(*lines: str, kind: str = "", about: str = "") -> str:
    return f'<draw:frame presentation:class="{kind}">{about}<draw:text-box>{"".join(map(q, lines))}</draw:text-box></draw:frame>'


def test_slides_have_titles_groups_comments_and_notes() -> None:
    first = (
        frame("The", "title", kind="title") + frame("Body") + f"<draw:g>{frame('grouped', about='<svg:desc>A map</svg:desc>')}</draw:g>"
        f"<office:annotation><dc:creator>Ada</dc:creator>{q('Ok?')}</office:annotation><presentation:notes>"
        f"{frame('no', kind='page')}{frame('Say', 'hi', kind='notes')}</presentation:notes>"
    )
    deck = odf("presentation", f"<draw:page>{first}</draw:page><draw:page>{frame('second')}<presentation:notes>{frame('', kind='notes')}</presentation:notes></draw:page>")
    assert deck.text == "The title\n\nBody\n\nPicture: A map.\n\ngrouped\n\nComment by Ada: Ok?\n\nNotes: Say hi\n\nsecond"
    assert [(page.kind, page.label, deck.text[page.start : page.end][:6]) for page in deck.pages] == [("slide", "The title", "The ti"), ("slide", "", "second")]
    assert [(heading.level, heading.title) for heading in deck.headings] == [(1, "The title")]
