"Slides with every feature of their reader, and the exact text that a person reads on them: `ragwb.documents.slides` and, below it, `ragwb.documents.office`."

from collections.abc import Mapping, Sequence

import pytest
from test_office import CHART, NAMES, packed, relations

from ragwb.documents.document import Document, DocumentError
from ragwb.documents.parsing import parse

PN = f'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" {NAMES}'


def at(left: float, top: float, width: float = 3, height: float = 1) -> str:
    return f'<a:xfrm><a:off x="{left * 1000:.0f}" y="{top * 1000:.0f}"/><a:ext cx="{width * 1000:.0f}" cy="{height * 1000:.0f}"/></a:xfrm>'


def ap(text: str, properties: str = "") -> str:
    return f"<a:p>{properties}{text if text.startswith('<') else f'<a:r><a:t>{text}</a:t></a:r>'}</a:p>"


def ph(kind: str = "", number: str = "") -> str:
    return "<p:ph" + (f' type="{kind}"' if kind else "") + (f' idx="{number}"' if number else "") + "/>"


def sp(*lines: str, ph: str = "", at: str = "") -> str:
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="1" name="n"/><p:cNvSpPr/><p:nvPr>{ph}</p:nvPr></p:nvSpPr><p:spPr>{at}</p:spPr>'
        f"<p:txBody>{''.join(line if line.startswith('<a:p>') else ap(line) for line in lines)}</p:txBody></p:sp>"
    )


def tree(*shapes: str) -> str:
    return f"<p:cSld><p:spTree><p:nvGrpSpPr/><p:grpSpPr/>{''.join(shapes)}</p:spTree></p:cSld>"


def deck(*slides: str, attributes: Mapping[int, str] = {}, related: Sequence[tuple[str, str]] = (), parts: Mapping[str, str] = {}) -> Document:
    "The document of a presentation with these slides; `attributes` of some of them by number, and further parts."
    listed = "".join(f'<p:sldId id="{256 + n}" r:id="r{n + 1}"/>' for n in range(len(slides)))
    files = {
        "_rels/.rels": relations(("officeDocument", "ppt/presentation.xml"), ("core-properties", "core.xml")),
        "ppt/presentation.xml": f"<p:presentation {PN}><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": relations(*(("slide", f"slides/s{n + 1}.xml") for n in range(len(slides))), *related),
    }
    files |= {f"ppt/slides/s{n}.xml": f"<p:sld {PN}{attributes.get(n, '')}>{slide}</p:sld>" for n, slide in enumerate(slides, start=1)}
    return parse(packed(files | {name: part.replace("NAMES", PN) for name, part in parts.items()}), "a.pptx")


# Lines and lists.


def auto(kind: str, depth: str = "", start: str = "") -> str:
    return "<a:pPr" + (f' lvl="{depth}"' if depth else "") + f'><a:buAutoNum type="{kind}"' + (f' startAt="{start}"' if start else "") + "/></a:pPr>"


def test_numbers_of_lists_go_on_and_begin_anew_as_powerpoint_draws_them() -> None:
    steps = sp(
        ap("one", auto("arabicPeriod")),
        ap("two", auto("arabicPeriod")),
        ap("a", auto("alphaLcParenR", "1")),
        ap("b", auto("alphaLcParenR", "1")),
        ap("three", auto("arabicPeriod")),
        ap("a again", auto("alphaLcParenR", "1")),
        ap("dot", '<a:pPr lvl="0"/>'),
        ap("restart", auto("arabicPeriod", "", "5")),
        ap(""),
        ap("sub dot", '<a:pPr lvl="1"/>'),
    )
    kinds = sp(ap("x", auto("arabicPlain", "0", "3")), ap("y", auto("romanLcPeriod", "1")), ap("z", auto("alphaUcPeriod", "2")), ap("q", auto("odd")))
    assert deck(tree(steps, sp(ap("I", auto("romanUcParenBoth"))), kinds, sp("alone"))).text == (
        "1. one\n2. two\n  a) a\n  b) b\n3. three\n  a) a again\n- dot\n5. restart\n  - sub dot\n\n(I) I\n\n3 x\n  i. y\n    A. z\n4. q\n\nalone"
    )


def test_a_line_has_its_symbols_links_fields_and_equations() -> None:
    line = (
        '<a:r><a:rPr><a:latin typeface="Symbol"/></a:rPr><a:t>m</a:t></a:r><a:r><a:rPr><a:latin typeface="Arial"/>'
        '<a:sym typeface="Wingdings"/></a:rPr><a:t>\uf0fc</a:t></a:r><a:br/>'
        '<a:fld type="x"><a:t>field</a:t></a:fld><a:r><a:t> </a:t></a:r><a:r><a:rPr><a:hlinkClick r:id="r1"/></a:rPr><a:t>link</a:t></a:r>'
        '<a:r><a:rPr><a:hlinkClick r:id="r2"/></a:rPr><a:t> jump </a:t></a:r><mc:AlternateContent><m:oMath><m:r><m:t>x=1</m:t></m:r></m:oMath></mc:AlternateContent>'
    )
    parts = {"ppt/slides/_rels/s1.xml.rels": relations(("hyperlink", "https://a.example/p"), ("slide", "s2.xml"))}
    assert deck(tree(sp(ap(line))), parts=parts).text == "μ✓ field link (https://a.example/p) jump x=1"


# Places.


def test_a_placeholder_is_where_its_layout_or_its_master_says() -> None:
    layout = tree(
        sp("Prompt", ph=ph("title"), at=at(0, 0)),
        sp("P", ph=ph("body", "7"), at=at(0, 5)),
        sp("P", ph=ph("obj"), at=at(0, 7)),
        sp("P", ph=ph("", "8")),
        sp("P", ph=ph("pic", "9"), at=at(0, 1)),
    )
    master = tree(sp("P", ph=ph("", "8"), at=at(0, 3)), sp("P", ph=ph("tbl"), at=at(0, 9)))
    parts = {f"ppt/slides/_rels/s{n}.xml.rels": relations(("slideLayout", "../l.xml")) for n in (1, 2, 3)} | {
        "ppt/l.xml": f"<p:sldLayout NAMES>{layout}</p:sldLayout>",
        "ppt/_rels/l.xml.rels": relations(("slideMaster", "m.xml")),
        "ppt/m.xml": f"<p:sldMaster NAMES>{master}</p:sldMaster>",
        "core.xml": "<p><title>PowerPoint Presentation</title><creator>Ann</creator></p>",
    }
    placed = tree(
        sp("fifth: the master's table", ph=ph("tbl")),
        sp("fourth: of no kind", ph=ph()),
        sp("third: the layout's body", ph=ph("body", "7")),
        sp("second: the master's", ph=ph("", "8")),
        sp("first: its own", at=at(0, 1.5)),
        sp("The", "title", ph=ph("title")),
    )
    unplaced = tree(sp("written first", at=at(0, 9)), sp("then this", ph=ph("chart", "44")), sp("7", ph=ph("sldNum", "12"), at=at(0, 0)), sp("last", at=at(0, 0)))
    read = deck(placed, unplaced, tree(sp("seen by nobody"), sp("Title two", ph=ph("ctrTitle"))), attributes={3: ' show="0"'}, parts=parts)
    assert read.text == (
        "The title\n\nfirst: its own\n\nsecond: the master's\n\nthird: the layout's body\n\nfourth: of no kind\n\nfifth: the master's table\n\n"
        "written first\n\nthen this\n\nlast\n\nTitle two\n\nseen by nobody"
    )
    assert (read.title, read.metadata["author"], read.remarks) == ("The title", "Ann", "slide 3 is hidden in the show; its text is read")
    assert [(page.kind, page.label) for page in read.pages] == [("slide", "The title"), ("slide", ""), ("slide", "Title two")]
    assert [(heading.level, heading.title) for heading in read.headings] == [(1, "The title"), (1, "Title two")]
    named = {"core.xml": "<p><title>Pumps</title></p>"}
    assert deck(tree(sp("x")), parts=named).title == "Pumps" and deck(tree(sp("x")), attributes={1: ' show="1"'}).remarks == ""


LAYOUTS = {  # each shape: its text, left, top, width, height; the texts in the order of reading are a, b, c, ...
    "a heading over two columns": [("d", 4, 2), ("b", 0, 2), ("a", 0, 0, 7), ("c", 0, 4), ("e", 4, 4.5)],
    "columns of unequal cards": [("c", 4, 1), ("a", 0, 1, 3, 4), ("d", 4, 2.2), ("e", 4, 3.4), ("b", 0, 5.5)],
    "a table drawn with boxes": [("a", 0, 0), ("c", 0, 1.2), ("e", 0, 2.4), ("b", 4, 0), ("d", 4, 1.2), ("f", 4, 2.4)],
    "two rows of two are two columns": [("a", 0, 0), ("b", 0, 1.2), ("c", 4, 0), ("d", 4, 1.2)],
    "boxes that touch by less than a tenth of each": [("b", 2.8, 1), ("a", 0, 0), ("c", 2.8, 1.95)],
    "boxes that overlap": [("b", 1, 0.5), ("a", 0, 0), ("c", 0.5, 0.9)],
    "a footnote below columns": [("b", 4, 0), ("a", 0, 0), ("c", 0, 2, 7)],
    "a single box": [("a", 5, 5)],
    "side by side at unequal heights": [("b", 4, 0), ("a", 0, 0.5)],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_shapes_are_read_in_the_order_in_which_a_person_reads(name: str) -> None:
    assert deck(tree(*(sp(text, at=at(*place)) for text, *place in LAYOUTS[name]))).text == "\n\n".join(sorted(text for text, *_ in LAYOUTS[name]))


# Groups, pictures, tables.


def group(*shapes: str, at: str = "") -> str:
    return f'<p:grpSp><p:nvGrpSpPr><p:cNvPr id="3" name="g"/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr>{at}</p:grpSpPr>{"".join(shapes)}</p:grpSp>'


def frame(content: str, at: str) -> str:
    place = at.replace("a:xfrm", "p:xfrm")
    return (
        f'<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="5" name="t"/><p:nvPr/></p:nvGraphicFramePr>{place}<a:graphic><a:graphicData>{content}</a:graphicData></a:graphic>'
        "</p:graphicFrame>"
    )


def cell(text: str, attributes: str = "") -> str:
    return f"<a:tc {attributes}><p:txBody>{''.join(map(ap, text.split('/')))}</p:txBody></a:tc>"


def grid(*rows: Sequence[str], first: str = "1") -> str:
    head = f'<a:tblPr firstRow="{first}"/>' if first else ""
    return f"<a:tbl>{head}{''.join('<a:tr>' + ''.join(each if each.startswith('<') else cell(each) for each in row) + '</a:tr>' for row in rows)}</a:tbl>"


def test_groups_pictures_tables_charts_and_objects_of_a_slide() -> None:
    spans = grid(
        [cell("Model", 'rowSpan="2"'), cell("Flow", 'gridSpan="2"'), cell("", 'hMerge="1"')],
        [cell("", 'vMerge="1"'), "l", "bar"],
        [cell("P1/x", 'rowSpan="2"'), "1", "2"],
        [cell("", 'vMerge="true"'), "3", "4"],
    )
    picture = '<p:pic><p:nvPicPr><p:cNvPr id="4" name="p" descr="A map of gate 3"/><p:nvPr/></p:nvPicPr><p:spPr>' + at(0, 5) + "</p:spPr></p:pic>"
    choice = "<mc:AlternateContent><mc:Choice>{}</mc:Choice><mc:Fallback>{}</mc:Fallback></mc:AlternateContent>"
    shapes = (
        group(sp("in b", at=at(0, 2)), sp("in a", at=at(0, 0)), at=at(0, 0, 3, 4)),
        picture,
        choice.format("", sp("fallback", at=at(0, 6))),
        choice.format(sp("chosen", at=at(0, 7)), sp("not", at=at(0, 7))),
        frame(spans, at(0, 8)),
        frame(grid("78", ("9", "10")), at(0, 10)),
        frame(grid("78", ("9", "10"), first="0"), at(0, 12)),
        frame(grid("ab", "cd", first=""), at(0, 13)),
        frame(grid(("lone", "row")), at(0, 14)),
        frame(grid([cell("Flow", 'gridSpan="2"'), cell("", 'hMerge="true"'), "Use"], "56c"), at(0, 15)),
        frame("<x><p:oleObj/></x>", at(0, 16)),
        frame('<c:chart r:id="r1"/>', at(0, 18)),
    )
    read = deck(tree(*shapes), parts={"ppt/slides/_rels/s1.xml.rels": relations(("chart", "../c.xml")), "ppt/c.xml": CHART})
    assert read.text == (
        "in a\n\nin b\n\nPicture: A map of gate 3.\n\nfallback\n\nchosen\n\nModel: P1 x | Flow l: 1 | Flow bar: 2\nModel: P1 x | Flow l: 3 | Flow bar: 4\n\n7: 9 | 8: 10\n\n"
        "7 | 8\n9 | 10\n\na: c | b: d\n\nlone | row\n\nFlow: 5 | Flow: 6 | Use: c\n\nCategory: May | Close: 61"
    )
    assert read.remarks == "left out: an embedded object"


# What belongs to a slide and lies beside it.


def test_footers_notes_and_comments_of_slides() -> None:
    def footer(kind: str, content: str) -> str:
        return sp(ap(content), ph=ph(kind, "11"))

    notes = f"<p:notes NAMES>{tree(sp('Say', 'hello.', ph=ph('body', '1')), sp('5', ph=ph('sldNum')), sp('no'))}</p:notes>"
    old = '<p:cmLst NAMES><p:cm authorId="0"><p:text>Old kind</p:text></p:cm><p:cm authorId="5"><p:text>Nobody.</p:text></p:cm></p:cmLst>'
    reply = '<x:replyLst><x:reply authorId="0"><x:txBody><a:p><a:r><a:t>Reply</a:t></a:r></a:p></x:txBody></x:reply></x:replyLst>'
    new = f'<x:cmLst xmlns:x="x" NAMES><x:cm authorId="{{G}}">{reply}<x:txBody><a:p><a:r><a:t>New </a:t></a:r><a:r><a:t>kind</a:t></a:r></a:p></x:txBody></x:cm></x:cmLst>'
    slide = tree(footer("ftr", "<a:r><a:t>Internal</a:t></a:r><a:r><a:t>use</a:t></a:r>"), footer("dt", '<a:fld type="datetime"><a:t>1/1</a:t></a:fld>'), sp("x"))
    parts = {
        "ppt/ca.xml": '<p:cmAuthorLst NAMES><p:cmAuthor id="0" name="Ada"/></p:cmAuthorLst>',
        "ppt/au.xml": '<x:authorLst xmlns:x="x"><x:author id="{G}" name="Bo"/></x:authorLst>',
        "ppt/slides/_rels/s1.xml.rels": relations(("notesSlide", "../n.xml"), ("comments", "../c1.xml"), ("comments", "../c2.xml")),
        "ppt/n.xml": notes,
        "ppt/c1.xml": old,
        "ppt/c2.xml": new,
        "ppt/slides/_rels/s2.xml.rels": relations(("notesSlide", "../e.xml")),
        "ppt/e.xml": f"<p:notes NAMES>{tree(sp('', ph=ph('body', '1')))}</p:notes>",
    }
    read = deck(slide, slide, "<p:other/>", tree(sp("y")), related=(("commentAuthors", "ca.xml"), ("authors", "au.xml")), parts=parts)
    assert read.text == ("Internal use\n\nx\n\nNotes: Say hello.\n\nComment by Ada: Old kind.\n\nComment: Nobody.\n\nComment by Bo: New kind.\n\nComment by Ada: Reply.\n\nx\n\ny")
    assert read.remarks == "slide 3 could not be read" and [read.text[page.start : page.end] for page in read.pages][1:] == ["x", "", "y"]


def test_a_package_without_slides_is_no_presentation() -> None:
    with pytest.raises(DocumentError, match="its main part ppt/presentation.xml is no presentation"):
        parse(packed({"ppt/presentation.xml": "<a/>"}), "a.pptx")
