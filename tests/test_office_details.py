"""Small but complete Office files, each with every feature of its reader, and the exact text that a person reads in them: `ragwb.documents.office`,
`ragwb.documents.word`, `ragwb.documents.word_text` and `ragwb.documents.word_numbering`."""

import io
import zipfile
from collections.abc import Mapping

import pytest
from lxml import etree
from test_office import NAMES, p, packed, relations, word

from ragwb.documents.builder import TextBuilder
from ragwb.documents.document import DocumentError
from ragwb.documents.office import (
    Package,
    Relation,
    as_sentence,
    described,
    file_properties,
    link_target,
    math_text,
    open_zip,
    stated_properties,
    symbol_text,
    write_chart,
    write_diagram,
)

# Word: headings and lists.


def style(id: str, name: str, base: str = "", properties: str = "") -> str:
    based = f'<w:basedOn w:val="{base}"/>' if base else ""
    return f'<w:style w:type="paragraph" w:styleId="{id}"><w:name w:val="{name}"/>{based}<w:pPr>{properties}</w:pPr></w:style>'


STYLES = (
    "<w:styles NAMES>"
    + "".join(
        (
            style("T", "Title"),
            style("H2", "heading 2"),
            style("H8", "Heading 8"),
            style("Own", "Own", "Base"),
            style("Base", "Base", "Own", '<w:outlineLvl w:val="2"/>'),
            style("Toc", "toc 1", "", '<w:outlineLvl w:val="0"/>'),
            style("Body", "Body", "", '<w:outlineLvl w:val="9"/>'),
            style("Step", "Step", "", '<w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr>'),
        )
    )
    + "</w:styles>"
)
LEVEL = '<w:lvl w:ilvl="{}"><w:start w:val="1"/><w:numFmt w:val="{}"/><w:lvlText w:val="{}"/></w:lvl>'
NUMBERING = (
    f'<w:numbering NAMES><w:abstractNum w:abstractNumId="0">{LEVEL.format(0, "decimal", "%1.")}{LEVEL.format(1, "lowerLetter", "%2)")}</w:abstractNum>'
    f'<w:abstractNum w:abstractNumId="1">{LEVEL.format(0, "bullet", "x")}</w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num></w:numbering>'
)


def styled(text: str, id: str, more: str = "") -> str:
    return p(text, f'<w:pPr><w:pStyle w:val="{id}"/>{more}</w:pPr>')


def numbered(n: int, depth: int = 0) -> str:
    return f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{n}"/></w:numPr>'


def test_headings_and_lists_of_a_word_file() -> None:
    outline = '<w:pPr><w:outlineLvl w:val="{}"/></w:pPr>'
    body = (
        styled("Pump manual", "T"),
        styled("Pump manual 1", "Toc"),
        styled("Scope", "H2", numbered(1)),
        styled("Deep", "H8"),
        styled("Inherited", "Own"),
        styled("Body text", "Body"),
        styled("Notes", "H2", numbered(2)),
        p("Direct", outline.format(0)),
        p("Direct nine", outline.format(8)),
        styled("Open the valve.", "Step"),
        styled("Close it.", "Step"),
        p("", f"<w:pPr>{numbered(1)}</w:pPr>"),
        p("Next", f"<w:pPr>{numbered(1)}</w:pPr>"),
        p("Dot", f"<w:pPr>{numbered(2)}</w:pPr>"),
    )
    read = word("".join(body), ("styles", "styles.xml"), ("numbering", "numbering.xml"), styles_xml=STYLES, numbering_xml=NUMBERING)
    assert read.text == ("Pump manual\n\n1. Scope\n\nDeep\n\nInherited\n\nBody text\n\nNotes\n\nDirect\n\nDirect nine\n\n  a) Open the valve.\n  b) Close it.\n2. Next\n- Dot"), (
        "the table of contents is left out, an empty item has no number"
    )
    assert [(heading.level, heading.title) for heading in read.headings] == [
        (1, "Pump manual"),
        (2, "1. Scope"),
        (6, "Deep"),
        (3, "Inherited"),
        (2, "Notes"),
        (1, "Direct"),
        (6, "Direct nine"),
    ]
    assert (read.remarks, read.title, word(p("x")).title, read.format) == ("", "Pump manual", "a.docx", "docx")


# Word: what a line holds.


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def para(*runs: str) -> str:
    return f"<w:p>{''.join(runs)}</w:p>"


def code(text: str, result: str = "", begin: str = "", separate: bool = True) -> str:
    "A field with its code and its result."
    between = '<w:fldChar w:fldCharType="separate"/>' if separate else ""
    return (
        f'<w:r><w:fldChar w:fldCharType="begin">{begin}</w:fldChar><w:instrText xml:space="preserve">{text}</w:instrText>{between}</w:r>'
        f'{run(result) if result else ""}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


CHOICE = '<w:ffData><w:ddList>{}<w:listEntry w:val="red"/><w:listEntry w:val="blue"/></w:ddList></w:ffData>'
BOX = '<w:ffData><w:checkBox><w:default w:val="1"/><w:checked w:val="0"/></w:checkBox></w:ffData>'
RAISED, LOWERED = '<w:vertAlign w:val="superscript"/>', '<w:vertAlign w:val="subscript"/>'


LINES = {
    "Area 4 m^2 and notea H2O": para(run("Area 4 m"), run("2", RAISED), run(" and note"), run("a", RAISED), run(" H"), run("2", LOWERED), run("O")),
    "See the form (https://a.example/x) and https://a.example/y.": para(
        run("See "), code('HYPERLINK "https://a.example/x"', "the form"), run(" and "), code('HYPERLINK "https://a.example/y"', "https://a.example/y"), run(".")
    ),
    "Page of pages": para(run("Page "), code(" PAGE ", "7"), run(" of "), code("NUMPAGES", "9"), run(" pages")),
    "Sum 423/4 √(x)shown": para(run("Sum "), code("=SUM(A1)", "42"), code(r"EQ \f(3;4)", separate=False), run(" "), code(r"EQ \r(,x)", separate=False), code("EQ x", "shown")),
    "Colour blue or red or end ☐": para(
        run("Colour "),
        code("FORMDROPDOWN", begin=CHOICE.format('<w:result w:val="1"/>')),
        run(" or "),
        code("FORMDROPDOWN", begin=CHOICE.format('<w:default w:val="0"/>')),
        run(" or "),
        code("FORMDROPDOWN", begin=CHOICE.format('<w:result w:val="2"/>')),
        run(" end "),
        code("FORMCHECKBOX", begin=BOX),
    ),
    "a b c-d e": para("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t><w:softHyphen/><w:cr/><w:t>e</w:t></w:r>"),
    "kept new moved here": para(
        run("kept"),
        "<w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:del><w:r><w:delText></w:delText></w:r></w:del>",
        "<w:ins>",
        run(" new"),
        "</w:ins>",
        "<w:moveFrom>",
        run("moved away"),
        "</w:moveFrom><w:moveTo>",
        run(" moved here"),
        "</w:moveTo>",
    ),
    "Text[1] more[2]": para(run("Text"), '<w:r><w:footnoteReference w:id="2"/></w:r>', run(" more"), '<w:r><w:endnoteReference w:id="2"/><w:footnoteReference w:id="9"/></w:r>'),
    "inside Form (https://a.example/f) tail": para('<w:hyperlink r:id="r3">', run("inside "), '</w:hyperlink><w:hyperlink r:id="r4">', run("Form"), "</w:hyperlink>", run(" tail")),
    "object": para('<w:r><w:object><w:OLEObject ProgID="Excel.Sheet"/></w:object><w:object><w:OLEObject/></w:object></w:r>', run("object")),
    "✓ plain é": para('<w:r><w:sym w:font="Wingdings" w:char="FC"/><w:sym w:font="Wingdings" w:char="zz"/></w:r>', run("&#xF0B0; plain &#xE9;")),
}


def test_lines_of_a_word_file() -> None:
    notes = {
        "footnotes_xml": f'<w:footnotes NAMES><w:footnote w:id="2">{p("A foot.")}</w:footnote></w:footnotes>',
        "endnotes_xml": f'<w:endnotes NAMES><w:endnote w:id="2">{p("An")}{p("end.")}</w:endnote></w:endnotes>',
    }
    read = word("".join(LINES.values()), ("footnotes", "footnotes.xml"), ("endnotes", "endnotes.xml"), ("x", "y.xml"), ("hyperlink", "https://a.example/f"), **notes)
    assert read.text.split("\n\n") == [*LINES, "[1] A foot.", "[2] An end."]
    assert read.remarks == (
        "left out: a deleted passage (tracked changes); left out: an embedded object (Excel.Sheet); left out: an embedded object (unknown); "
        "left out: a symbol of the font (not named)"
    )


# Word: tables.


def tc(text: str, properties: str = "", bold: bool = False) -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{text if text.startswith('<') else para(run(text, '<w:b/>' if bold else ''))}</w:tc>"


def b(text: str) -> str:
    return tc(text, bold=True)


def tr(*cells: str, properties: str = "") -> str:
    return f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(cells)}</w:tr>"


def tbl(*rows: str) -> str:
    return f"<w:tbl>{''.join(rows)}</w:tbl>"


HEAD, SPAN2, SPAN3, START, ON = "<w:tblHeader/>", '<w:gridSpan w:val="2"/>', '<w:gridSpan w:val="3"/>', '<w:vMerge w:val="restart"/>', "<w:vMerge/>"


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        (
            tbl(
                tr(tc("Model", START), tc("Flow", SPAN2), properties=HEAD),
                tr(tc("", ON), tc("l/min"), tc("bar"), properties=HEAD),
                tr(tc("All pumps at rest", SPAN3)),
                tr(tc("P1", START), tc("20"), tc("3")),
                tr(tc("", ON), tc("25"), tc("4")),
                tr(tc("P2", START), tc("30"), tc("5")),
            ),
            "All pumps at rest\n\nModel: P1 | Flow l/min: 20 | Flow bar: 3\nModel: P1 | Flow l/min: 25 | Flow bar: 4\nModel: P2 | Flow l/min: 30 | Flow bar: 5",
        ),
        (tbl(tr(b("Owner"), tc("Ann")), tr(b("Due"), tc("May"))), "Owner: Ann\nDue: May"),
        (tbl(tr(tc("Owner:"), tc("Ann")), tr(tc("Due :"), tc("May"))), "Owner: Ann\nDue: May"),
        (tbl(tr(b("Part"), b("Use")), tr(b("seal"), tc("hold")), tr(b("cap"), tc("close"))), "Part: seal | Use: hold\nPart: cap | Use: close"),
        (tbl(tr(b("Part"), b("seal")), tr(tc("Use"), tc("hold")), tr(tc("Owner"), tc("hold"))), "Part: Use | seal: hold\nPart: Owner | seal: hold"),
        (tbl(tr(b("seal"), b("7")), tr(b("cap"), b("8"))), "seal: 7\ncap: 8"),
        (tbl(tr(tc("one cell")), tr(tc("two cell"))), "one cell\n\ntwo cell"),
        (tbl(tr(tc("left"), tc("right"))), "left\n\nright"),
        (tbl(tr(tc("A"), tc("7")), tr(tc("gone"), tc("8"), properties="<w:del/>"), tr(tc("B"), tc("9"))), "A | 7\nB | 9"),
        (tbl(f"<w:sdt><w:sdtContent>{tr(tc('K'), tc('V'))}</w:sdtContent></w:sdt>", tr(f"<w:sdt><w:sdtContent>{tc('k1')}</w:sdtContent></w:sdt>", tc("1"))), "K: k1 | V: 1"),
        (
            tbl(tr(tc("Pump"), tc("Limits")), tr(tc("P3"), tc(tbl(tr(b("Speed"), b("bar")), tr(tc("2"), tc("3"))) + para(run("after"))))),
            "Pump: P3 | Limits: Speed: 2, bar: 3 after",
        ),
        (tbl(tr(tc("Lone")), tr(tc("In"), properties='<w:gridBefore w:val="1"/>')), "Lone\nIn"),
    ],
)
def test_tables_of_a_word_file(drawn: str, text: str) -> None:
    assert word(drawn).text == text


# Word: headers, footers, comments and embedded documents.


@pytest.mark.parametrize(("value", "even"), [("", "Page header: Even.\n\n"), (' w:val="0"', "")])
def test_headers_and_footers_of_two_sections(value: str, even: str) -> None:
    reference = '<w:{}Reference w:type="{}" r:id="{}"/>'
    first = (
        "".join(reference.format(*each) for each in (("header", "first", "r1"), ("header", "even", "r2"), ("header", "default", "r3"), ("footer", "default", "r4")))
        + "<w:titlePg/>"
    )
    second = "".join(reference.format(*each) for each in (("header", "first", "r1"), ("footer", "default", "r5"), ("header", "default", "r9")))
    parts = {
        "h1": p("Cover"),
        "h2": p("Even"),
        "h3": p("Odd") + para(run("Page "), code("PAGE", "3"), run(" of "), code("NUMPAGES", "5")),
        "f2": p("End"),
        "f1": para(run("Rev 4 page "), code("PAGE", "3")) + para(run("p. "), code("PAGE", "3")) + tbl(tr(tc("x"), tc("y")), tr(tc("1"), tc("2"))),
    }
    read = word(
        para(f"<w:pPr><w:sectPr>{first}</w:sectPr></w:pPr>", run("One.")) + p("Two.") + f"<w:sectPr>{second}</w:sectPr>",
        ("header", "h1.xml"),
        ("header", "h2.xml"),
        ("header", "h3.xml"),
        ("footer", "f1.xml"),
        ("footer", "f2.xml"),
        ("settings", "settings.xml"),
        **{f"{name}_xml": f"<w:hdr NAMES>{content}</w:hdr>" for name, content in parts.items()},
        settings_xml=f"<w:settings NAMES><w:evenAndOddHeaders{value}/></w:settings>",
    )
    assert read.text == (
        f"Page header: Cover.\n\n{even}Page header: Odd.\n\nOne.\n\nPage footer: Rev 4 page.\n\nPage footer: x: y.\n\nPage footer: 1: 2.\n\nTwo.\n\nPage footer: End."
    )


def test_a_comment_in_a_table_follows_the_table() -> None:
    comments = f'<w:comments NAMES><w:comment w:id="0" w:author="Ada">{p("Ok?")}</w:comment></w:comments>'
    drawn = tbl(tr(tc("a"), tc("b")), tr(tc(para(run("c"), '<w:r><w:commentReference w:id="0"/></w:r>')), tc("1")))
    assert word(drawn + p("d"), ("comments", "c.xml"), c_xml=comments).text == "a: c | b: 1\n\nComment by Ada: Ok?\n\nd"


def test_embedded_documents_of_every_kind_and_depth() -> None:
    def inner(n: int) -> bytes:
        below = {"word/_rels/document.xml.rels": relations(("aFChunk", "i.docx")), "word/i.docx": inner(n + 1)} if n < 6 else {}
        return packed({"word/document.xml": f"<w:document {NAMES}><w:body>{p(f'Level {n}.')}<w:altChunk r:id='r1'/></w:body></w:document>", **below})

    read = word(
        "".join(f'<w:altChunk r:id="r{n}"/>' for n in (1, 2, 3, 4, 5, 8)),
        ("aFChunk", "i.docx"),
        ("aFChunk", "a.html"),
        ("aFChunk", "m.html"),
        ("aFChunk", "https://a.example/x.html"),
        ("aFChunk", "l.txt"),
        i_docx=inner(1),
        a_html='<html><head><meta charset="cp1251"></head><body><p>Привет</p></body></html>'.encode("cp1251"),
        m_html="<?mso-application?><x>no</x>",
        l_txt="one\n\ntwo",
    )
    assert read.text == "Level 1.\n\nLevel 2.\n\nLevel 3.\n\nПривет\n\none\n\ntwo"
    assert read.remarks == "left out: an embedded document (docx); left out: an embedded document (html)"


# Packages.


def test_a_package_finds_its_parts_whatever_their_names_look_like() -> None:
    said: list[str] = []
    core = (
        "<p><title> T </title><creator>Ann</creator><title>no</title><keywords>a, b</keywords><created>2025-01-02T03:04:05Z</created>"
        "<modified>2025-02-03T04:05:06</modified><empty/></p>"
    )
    package = Package(
        open_zip(
            packed(
                {
                    "_rels/.rels": relations(("officeDocument", "/Word\\Main%20doc.xml"), ("core-properties", "docProps/core.xml"), ("officeDocument", "second.xml")),
                    "word/main doc.xml": "<a><b>t</b>",
                    "word/_rels/Main doc.xml.rels": relations(("image", "../media/i.png"), ("hyperlink", "https://a.example/%20x"), ("image", "https://a.example/i.png")),
                    "docProps/core.xml": core,
                }
            ),
            "a",
        ),
        said.append,
    )
    main = package.main("x")
    assert (main, package.related(package.relations(main), "image")) == ("Word/Main doc.xml", ["media/i.png"])
    assert package.relations(main)["r2"] == Relation("hyperlink", "https://a.example/%20x", True)
    whole = package.xml(main)
    assert whole is not None and whole.findtext("b") == "t" and package.xml("no.xml") is None
    assert said == [f"the part {main} is damaged: what can be read of it is there", "the part no.xml is missing"]
    assert file_properties(package) == {"title": "T", "author": "Ann", "keywords": "a, b", "created": "2025-01-02 03:04+00:00", "modified": "2025-02-03 04:05"}
    assert Package(open_zip(packed({"a": "b"}), "a"), said.append).main("usual.xml") == "usual.xml"
    odf = "<initial-creator>Bo</initial-creator><creation-date>2024-01-01T00:00:00</creation-date><date>2025-05-05T10:11:12Z</date><subject>S</subject><keyword>k</keyword>"
    assert stated_properties(x(odf)) == {"author": "Bo", "subject": "S", "keywords": "k", "created": "2024-01-01 00:00", "modified": "2025-05-05 10:11+00:00"}
    assert stated_properties(None) == {}


def test_archives_are_opened_up_to_their_limits() -> None:
    two, tight = packed({"a": "1234", "b": "56"}), io.BytesIO()
    assert len(open_zip(two, "a", max_unpacked=6, max_entries=2).namelist()) == 2
    for limits in ({"max_unpacked": 5}, {"max_entries": 1}):
        with pytest.raises(DocumentError, match="archive of 2 entries unpacks from"):
            open_zip(two, "a", **limits)
    with zipfile.ZipFile(tight, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(4_000_001))
    ratio = 4_000_001 // len(tight.getvalue())
    assert open_zip(tight.getvalue(), "a", max_ratio=ratio + 1) and open_zip(packed({"a": bytes(100)}), "a", max_ratio=0)
    with pytest.raises(DocumentError, match=f"allowed: 10,000 entries, 200,000,000 bytes, {ratio} times its size"):
        open_zip(tight.getvalue(), "a", max_ratio=ratio)
    locked = bytearray(two)
    locked[two.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(DocumentError, match="encrypted archive"):
        open_zip(bytes(locked), "a")
    with pytest.raises(DocumentError, match="damaged archive"):
        open_zip(two[:20], "a")


# Words beside the text.


def test_links_descriptions_and_sentences() -> None:
    links = (
        ("form", "https://a.example/"),
        ("a.example", "http://a.example/"),
        ("mail", "mailto:a@b"),
        ("call a@b", "mailto:a@b"),
        ("x", "#top"),
        ("x", " tel:12 "),
        ("x", "file:///c"),
        ("x", "https://"),
        ("x", "ftp://h/f"),
        ("x", "HTTPS://A"),
    )
    assert [link_target(*link) for link in links] == [" (https://a.example/)", "", " (a@b)", "", "", " (12)", "", "", " (ftp://h/f)", " (HTTPS://A)"]
    assert [as_sentence("L", text) for text in ("a", "a.", "a?", 'a:"', "", " ", "a)", "(a.)", "終。")] == [
        "L: a.",
        "L: a.",
        "L: a?",
        'L: a:"',
        "",
        "",
        "L: a).",
        "L: (a.)",
        "L: 終。",
    ]
    assert [described(text) for text in ("map.png", "a map.png", "https://x", "", "Gate 3", "x.PNG")] == ["", "Picture: a map.png.", "", "", "Picture: Gate 3.", ""]


@pytest.mark.parametrize(
    ("font", "written", "drawn"),
    [
        ("Symbol", "abm", "αβμ"),
        ("symbol", "\uf061\uf0b0", "α°"),
        ("Arial", "a b", "a b"),
        ("", "\uf061\uf0ff\uf100\uf01f", "\ufffd\ufffd\uf100\uf01f"),
        ("Wingdings", "\uf0fc\uf0ff", "✓\ufffd"),
        ("Wingdings", "(*JLlnopqrsuvx\x9e\x9f", "☎✉☺☹●■☐☐☐☐⬧◆❖☒·•"),
        ("Wingdings", "\x80\x8a\x8b\x95\xa1\xa7\xa8\xab\xd8", "⓪⑩⓿❿○▪☐★➢"),
        ("Symbol", "Ω Ā", "Ω Ā"),
        ("Symbol", "ÿ", "\ufffd"),
        ("Wingdings", "".join(map(chr, range(0xDF, 0xF4))) + "\xfb\xfc\xfd\xfe", "←→↑↓↖↗↙↘←→↑↓\ufffd\ufffd\ufffd\ufffd⇦⇨⇧⇩⬄✗✓☒☑"),
        ("Wingdings 2", "OPQRST*\xa3\x97\xa2", "✗✓☒☑☒☒☐☐●■"),
        ("webdings", "acgr3456", "✓☐■✗←→↑↓"),
    ],
)
def test_symbols_are_read_as_their_font_draws_them(font: str, written: str, drawn: str) -> None:
    assert symbol_text(written, font) == drawn


# Equations, charts and diagrams.


def x(content: str) -> etree._Element:
    return etree.fromstring(f"<x {NAMES}>{content}</x>")


def m(text: str) -> str:
    return f"<m:r><m:rPr/><m:t>{text}</m:t></m:r>"


def e(name: str, text: str) -> str:
    return f"<m:{name}>{m(text)}</m:{name}>"


@pytest.mark.parametrize(
    ("equation", "line"),
    [
        (f"<m:f>{e('num', 'a+b')}{e('den', '2')}</m:f>", "(a+b)/2"),
        (f"<m:f>{e('num', '(a+b)')}{e('den', 'x.5')}</m:f>", "(a+b)/x.5"),
        (f"<m:sSub>{e('e', 'x')}{e('sub', 'i,j')}</m:sSub>", "x_i,j"),
        (f"<m:sSubSup>{e('e', 'x+y')}{e('sub', 'i')}{e('sup', 'n-1')}</m:sSubSup>", "(x+y)_i^(n-1)"),
        (f"<m:limLow>{e('e', 'lim')}{e('lim', 'x')}</m:limLow>", "lim_x"),
        (f"<m:sPre>{e('sub', 'a')}{e('sup', 'b')}{e('e', 'X')}</m:sPre>", "_a^bX"),
        (f"<m:rad>{e('deg', '3')}{e('e', 'x')}</m:rad>", "root_3(x)"),
        (f"<m:rad><m:deg/>{e('e', 'x')}</m:rad>", "√(x)"),
        (f"<m:nary>{e('sub', '0')}{e('sup', '1')}{e('e', 'x')}</m:nary>", "∫_0^1 x"),
        (f"<m:d>{e('e', 'a')}{e('e', 'b')}</m:d>", "(a|b)"),
        (f'<m:d><m:dPr><m:begChr m:val="["/><m:sepChr m:val=";"/><m:endChr m:val=""/></m:dPr>{e("e", "a")}{e("e", "b")}</m:d>', "[a;b"),
        (f"<m:d><m:dPr><m:begChr/></m:dPr>{e('e', 'a')}</m:d>", "a)"),
        (f"<m:m><m:mPr/><m:mr>{e('e', '1')}{e('e', '2')}</m:mr><m:mr>{e('e', '3')}{e('e', '4')}</m:mr></m:m>", "1, 2; 3, 4"),
        (f"<m:eqArr>{e('e', 'x=1')}{e('e', 'y=2')}</m:eqArr>", "x=1; y=2"),
        (f"<m:func>{e('fName', 'sin')}{e('e', 'x')}</m:func>", "sin x"),
        (f"<m:acc>{e('e', 'v')}</m:acc>", "v"),
    ],
)
def test_an_equation_is_a_line(equation: str, line: str) -> None:
    assert math_text(x(equation)) == line


def chart(content: str, title: str = "", axes: str = "") -> str:
    builder = TextBuilder()
    write_chart(builder, etree.fromstring(f"<c:chartSpace {NAMES}><c:chart>{title}<c:plotArea><c:barChart>{content}</c:barChart>{axes}</c:plotArea></c:chart></c:chartSpace>"))
    return "".join(builder.parts)


def pts(values: Mapping[int, str], percent: bool = False) -> str:
    return "<c:cache>" + "<c:formatCode>0.0%</c:formatCode>" * percent + "".join(f'<c:pt idx="{at}"><c:v>{value}</c:v></c:pt>' for at, value in values.items()) + "</c:cache>"


def ser(name: str, *parts: str) -> str:
    return f"<c:ser>{f'<c:tx><c:v>{name}</c:v></c:tx>' if name else ''}{''.join(parts)}</c:ser>"


def test_a_chart_is_a_row_for_each_category_or_point() -> None:
    title = "<c:title><c:tx><a:p><a:r><a:t>Sales </a:t></a:r><a:r><a:t>2025</a:t></a:r></a:p></c:tx></c:title>"
    cat = f"<c:cat>{pts({0: 'North', 1: 'South'})}</c:cat>"
    bars = ser("Q1", cat, f"<c:val>{pts({0: '1', 1: '0.30000000000000004'})}</c:val>") + ser("Share", cat, f"<c:val>{pts({0: '0.125', 1: 'n/a'}, percent=True)}</c:val>")
    axes = "<c:catAx><c:title><a:t>Region</a:t></c:title></c:catAx><c:valAx><c:title><a:t>EUR</a:t></c:title></c:valAx>"
    assert chart(bars, title, axes) == "Sales 2025\n\nValue axis: EUR.\n\nRegion: North | Q1: 1 | Share: 12.5%\nRegion: South | Q1: 0.3 | Share: n/a"
    assert chart(ser("", f"<c:val>{pts({0: '5', 2: '7'})}</c:val>")) == "Category: 1 | 5\nCategory: 3 | 7"
    bubbles = ser("B", f"<c:xVal>{pts({0: '1', 1: '2'})}</c:xVal>", f"<c:yVal>{pts({0: '3', 1: '4'})}</c:yVal>", f"<c:bubbleSize>{pts({0: '9', 1: '8'})}</c:bubbleSize>")
    assert chart(bubbles, axes="<c:valAx><c:title><a:t>km</a:t></c:title></c:valAx>") == "km: 1 | B: 3 | Size: 9\nkm: 2 | B: 4 | Size: 8"
    levels = '<c:cat><c:lvl><c:pt idx="0"><c:v>Q1</c:v></c:pt><c:pt idx="1"><c:v>Q2</c:v></c:pt></c:lvl><c:lvl><c:pt idx="0"><c:v>2024</c:v></c:pt></c:lvl></c:cat>'
    two = ser("S", levels, f"<c:val>{pts({0: '1e3', 1: '12345678901234.56789'})}</c:val>") + ser("Other", f"<c:cat>{pts({0: 'X'})}</c:cat>", f"<c:val>{pts({0: '4'})}</c:val>")
    assert chart(two) == "Category: 2024 Q1 | S: 1e3\nCategory: Q2 | S: 12345678901234.6\n\nCategory: X | Other: 4"


def test_a_chart_of_the_newer_kinds_is_a_row_for_each_point() -> None:
    strings = '<strDim><lvl><pt idx="0">A</pt><pt idx="1">B</pt></lvl></strDim>'
    numbers = '<numDim><lvl><pt idx="0">1</pt><pt idx="1">2</pt></lvl></numDim>'
    builder = TextBuilder()
    write_chart(
        builder,
        etree.fromstring(
            f'<cx><chart><title><t>Tree</t></title></chart><chartData><data id="0">{strings}{numbers}</data></chartData><series><tx><v>Size</v></tx><dataId val="0"/></series></cx>'
        ),
    )
    assert "".join(builder.parts) == "Tree\n\nCategory: A | Size: 1\nCategory: B | Size: 2"


def test_a_diagram_is_a_list_of_its_points() -> None:
    texts = {'1"': ("Lead", "er"), '2" type="asst"': ("Help",), '3" type="norm"': ("Deep",), '4" type="parTrans"': ("no",), '5"': ("Alone",)}
    drawn = "".join(f'<pt modelId="{id}><t>{"".join(f"<p><t>{line}</t></p>" for line in lines)}</t></pt>' for id, lines in texts.items())
    links = (
        '<cxn srcId="d" destId="1" srcOrd="0"/><cxn srcId="d" destId="2" srcOrd="1" type="parOf"/><cxn srcId="1" destId="3"/><cxn srcId="3" destId="1"/>'
        '<cxn type="presOf" srcId="2" destId="3"/><cxn srcId="1" destId="4"/>'
    )
    builder = TextBuilder()
    builder.item("before")
    write_diagram(builder, etree.fromstring(f'<m><pt modelId="d" type="doc"/>{drawn}{links}</m>'))
    assert "".join(builder.parts) == "- before\n\n- Lead er\n  - Deep\n- Help\n- Alone"
