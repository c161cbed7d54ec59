"""Word, PowerPoint, Excel and OpenDocument: the words that lie outside the main text, and packages with a part that is damaged, missing or strict.

tests/tools/mutants.py runs this file for `ragwb.documents.office`, `ragwb.documents.word`, `ragwb.documents.word_text`, `ragwb.documents.word_numbering`,
`ragwb.documents.slides`, `ragwb.documents.sheets` and `ragwb.documents.opendocument`, which it knows through `parse`."""

import io
import re
import zipfile
from collections.abc import Mapping

import openpyxl
import pptx
import pytest
from hostile_files import KINDS, cell, workbook
from pptx.chart.data import XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from ragwb.documents.document import Document, DocumentError
from ragwb.documents.files import detect_format
from ragwb.documents.parsing import parse

W, R = "http://schemas.openxmlformats.org/wordprocessingml/2006/main", "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
NAMES = (f'xmlns:w="{W}" xmlns:r="{R}" xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
         'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
             'xmlns:c="c" xmlns:dgm="d" xmlns:v="v"')


def packed(parts: Mapping[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def relations(*targets: tuple[str, str]) -> str:
    "A part of relations r1, r2, ... of these kinds to these targets; an address on the web is external."
    external = ' TargetMode="External"'
    listed = "".join(f'<Relationship Id="r{n}" Type="{R}/{kind}" Target="{target}"{external if "://" in target else ""}/>' for n, (kind, target) in enumerate(targets, start=1))
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{listed}</Relationships>'


def word(body: str, *targets: tuple[str, str], **parts: str | bytes) -> Document:
    "The document of a Word file with this body; its main part points at the targets."
    named = {f"word/{name.replace('_', '.')}": part if isinstance(part, bytes) else part.replace("NAMES", NAMES) for name, part in parts.items()}
    return parse(packed({"[Content_Types].xml": "<Types/>", "_rels/.rels": relations(("officeDocument", "word/document.xml")), "word/_rels/document.xml.rels": relations(*targets),
                         "word/document.xml": f"<w:document {NAMES}><w:body>{body}</w:body></w:document>", **named}), "a.docx")


def p(text: str, inside: str = "") -> str:
    return f'<w:p>{inside}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def table(*rows: tuple[str, ...]) -> str:
    "A table of cells, given as text or as the XML of their content."
    return "<w:tbl>" + "".join("<w:tr>" + "".join(f"<w:tc>{text if text.startswith('<') else p(text)}</w:tc>" for text in row) + "</w:tr>" for row in rows) + "</w:tbl>"


# Word.

def test_lines_of_headers_and_footers_are_read_once_where_their_section_is() -> None:
    section = '<w:sectPr><w:headerReference w:type="{}" r:id="{}"/><w:footerReference w:type="default" r:id="r2"/></w:sectPr>'
    number = '<w:r><w:t xml:space="preserve">Page </w:t></w:r><w:fldSimple w:instr=" PAGE "><w:r><w:t>4</w:t></w:r></w:fldSimple>'
    read = word(p("First chapter.", f"<w:pPr>{section.format('default', 'r1')}</w:pPr>") + p("Second chapter.") + section.format("default", "r3"),
                ("header", "header1.xml"), ("footer", "footer1.xml"), ("header", "header2.xml"),
                header1_xml=f"<w:hdr NAMES>{p('Doc 4711, rev. C')}</w:hdr>", header2_xml=f"<w:hdr NAMES>{p('Doc 4711, rev. C')}{p('Annex')}</w:hdr>",
                footer1_xml=f"<w:ftr NAMES><w:p>{number}</w:p>{table(('Owner', 'Quality'), ('Valid', 'May 2025'))}</w:ftr>")
    assert read.text == "Page header: Doc 4711, rev. C.\n\nFirst chapter.\n\nPage footer: Owner: Quality.\n\nPage footer: Valid: May 2025.\n\n" \
                        "Page header: Annex.\n\nSecond chapter."
    unseen = word(p("Text.") + section.format("first", "r1"), ("header", "header1.xml"), header1_xml=f"<w:hdr NAMES>{p('Cover only')}</w:hdr>")
    assert unseen.text == "Text."  # the section has no first page of its own


def test_comments_follow_what_they_are_on() -> None:
    comments = f'<w:comments NAMES><w:comment w:id="0" w:author="Ada">{p("Legal agreed to 21 days.")}</w:comment><w:comment w:id="1">{p("Unanchored.")}</w:comment></w:comments>'
    read = word(p("14 days.", '<w:r><w:commentReference w:id="0"/></w:r>') + p("Next."), ("comments", "comments.xml"), comments_xml=comments)
    assert read.text == "14 days.\n\nComment by Ada: Legal agreed to 21 days.\n\nNext.\n\nComment: Unanchored."


def test_symbols_boxes_and_links_keep_their_meaning() -> None:
    box = '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:default w:val="{}"/></w:checkBox></w:ffData></w:fldChar><w:fldChar w:fldCharType="end"/></w:r>'
    symbols = '<w:r><w:sym w:font="Wingdings" w:char="F0FE"/><w:sym w:font="Symbol" w:char="F0B1"/><w:sym w:font="Odd" w:char="F041"/></w:r>'
    lettered = '<w:r><w:rPr><w:rFonts w:ascii="Symbol" w:hAnsi="Symbol"/></w:rPr><w:t>m</w:t></w:r>'
    read = word(p(" yes", box.format("1")) + p(" no", box.format("0")) + p(" mm", symbols) + p(" = 0.15", lettered)
                + p("", '<w:hyperlink r:id="r1"><w:r><w:t>Form</w:t></w:r></w:hyperlink>') + p("", '<w:hyperlink r:id="r1"><w:r><w:t>https://a.example/f</w:t></w:r>'
                    '</w:hyperlink>'),
                ("hyperlink", "https://a.example/f"))
    assert read.text == "☒ yes\n\n☐ no\n\n☑± mm\n\nμ = 0.15\n\nForm (https://a.example/f)\n\nhttps://a.example/f"
    assert read.remarks == "left out: a symbol of the font Odd"


def test_a_fraction_is_no_number_of_its_digits() -> None:
    def run(text: str) -> str:
        return f"<m:r><m:t>{text}</m:t></m:r>"

    fraction = f"<m:f><m:num>{run('3')}</m:num><m:den>{run('16')}</m:den></m:f>"
    power = f"<m:sSup><m:e>{run('r')}</m:e><m:sup>{run('2')}</m:sup></m:sSup>"
    total = f"<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{run('i=1')}</m:sub><m:sup>{run('n')}</m:sup><m:e>{run('x')}</m:e></m:nary>"
    field = r'<w:r><w:fldChar w:fldCharType="begin"/><w:instrText>EQ \f(5,8)</w:instrText><w:fldChar w:fldCharType="end"/></w:r>'
    read = word(p("Gap ", "") .replace("</w:p>", f"<m:oMath>{fraction}</m:oMath></w:p>") + p(" inch", field) + f"<m:oMathPara><m:oMath>{run('A=π')}{power}</m:oMath>"
        f"</m:oMathPara>" + f"<w:p><m:oMath>{total}</m:oMath></w:p>")
    assert read.text == "Gap 3/16\n\n5/8 inch\n\nA=πr^2\n\n∑_(i=1)^n x"


def test_embedded_documents_are_read_in_their_place() -> None:
    inner = packed({"word/document.xml": f"<w:document {NAMES}><w:body>{p('From a Word part.')}</w:body></w:document>"})
    read = word('<w:altChunk r:id="r1"/><w:altChunk r:id="r2"/><w:altChunk r:id="r3"/><w:altChunk r:id="r4"/><w:altChunk r:id="r5"/>',
                *(("aFChunk", name) for name in ("a.html", "b.docx", "c.rtf", "d.txt", "e.bin")),
                a_html="<html><body><h2>Decisions</h2><p>Veldtree it is.</p></body></html>", b_docx=inner, c_rtf=r"{\rtf1 From RTF.\par}", d_txt="Plain.", e_bin=b"\x01\x02")
    assert read.text == "Decisions\n\nVeldtree it is.\n\nFrom a Word part.\n\nFrom RTF.\n\nPlain."
    assert [heading.title for heading in read.headings] == ["Decisions"] and read.remarks == "left out: an embedded document (bin)"


CHART = ('<c:chartSpace NAMES><c:chart><c:plotArea><c:stockChart><c:ser><c:tx><c:v>Close</c:v></c:tx><c:cat><c:pt idx="0"><c:v>May</c:v></c:pt></c:cat><c:val><c:pt idx="0">'
    '<c:v>61</c:v></c:pt></c:val></c:ser></c:stockChart></c:plotArea></c:chart></c:chartSpace>')


def test_drawings_are_read_where_they_are_anchored() -> None:
    drawn = ('<w:r><w:drawing><wp:inline><wp:docPr id="1" name="Picture 1" descr="The hydrant stands beside gate 3"/></wp:inline></w:drawing>'
             '<w:drawing><wp:inline><wp:docPr id="2" name="x" descr="logo.png"/><a:graphic><a:graphicData><c:chart r:id="r1"/></a:graphicData></a:graphic></wp:inline></w:drawing>'
             '<w:drawing><a:graphic><a:graphicData><dgm:relIds r:dm="r2"/></a:graphicData></a:graphic></w:drawing></w:r>')
    box = (f"<w:r><mc:AlternateContent><mc:Choice><w:txbxContent>{p('Boxed.')}</w:txbxContent></mc:Choice><mc:Fallback><w:pict><w:txbxContent>{p('Boxed.')}</w:txbxContent>"
        f"</w:pict></mc:Fallback></mc:AlternateContent></w:r>")
    diagram = ('<m NAMES><pt modelId="0" type="doc"/><pt modelId="1"><t><p><t>Second</t></p></t></pt><pt modelId="2"><t><p><t>First</t></p></t></pt>'
        '<cxn srcId="0" destId="1" srcOrd="1"/><cxn srcId="0" destId="2" srcOrd="0"/></m>')
    read = word(p("See:", drawn) + table(("Head", "Value"), (p("In a cell", box), "7")), ("chart", "chart1.xml"), ("diagramData", "data1.xml"), chart1_xml=CHART, data1_xml=diagram)
    assert read.text == "See:\n\nPicture: The hydrant stands beside gate 3.\n\nCategory: May | Close: 61\n\n- First\n- Second\n\nHead: In a cell | Value: 7\n\nBoxed."


def test_lists_take_their_levels_from_a_list_style_and_cells_keep_their_steps() -> None:
    level = '<w:lvl w:ilvl="{}"><w:start w:val="1"/><w:numFmt w:val="{}"/><w:lvlText w:val="{}"/></w:lvl>'
    numbering = (f'<w:numbering NAMES><w:abstractNum w:abstractNumId="5">'
        f'<w:styleLink w:val="Legal"/>{level.format(0, "decimal", "§ %1")}{level.format(1, "decimal", "%1.%2")}</w:abstractNum>'
                 '<w:abstractNum w:abstractNumId="6"><w:numStyleLink w:val="Legal"/></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="5"/></w:num>'
                     '<w:num w:numId="2"><w:abstractNumId w:val="6"/></w:num>'
                 f'<w:num w:numId="3"><w:abstractNumId w:val="5"/><w:lvlOverride w:ilvl="0">'
                     f'<w:startOverride w:val="1"/>{level.format(0, "chineseCounting", "第%1条")}</w:lvlOverride></w:num></w:numbering>')

    def item(text: str, number: int, depth: int = 0) -> str:
        return p(text, f'<w:pPr><w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{number}"/></w:numPr></w:pPr>')

    read = word(item("Rent", 2) + item("Due on the third.", 2, 1)
                + table(("Phase", "Steps"), ("Start", item("Open the valve.", 3) + item("Wait.", 3))), ("numbering", "numbering.xml"), numbering_xml=numbering)
    assert read.text == "§ 1 Rent\n  1.1 Due on the third.\n\nPhase: Start | Steps: 第一条 Open the valve. 第二条 Wait."


def test_tables_in_cells_rows_further_right_and_readings_above() -> None:
    inner = table(("Speed", "2,900 rpm"), ("Pressure", "16 bar"))
    indented = table(("Code", "Meaning"), ("10", "Service")).replace("</w:tbl>", f'<w:tr><w:trPr><w:gridBefore w:val="1"/></w:trPr><w:tc>{p("Code 11 is reserved.")}</w:tc>'
        f'</w:tr></w:tbl>')
    ruby = "<w:r><w:ruby><w:rt><w:r><w:t>にかい</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>二階</w:t></w:r></w:rubyBase></w:ruby></w:r>"
    read = word(table(("Pump", "Limits"), ("P-20", inner)) + indented + p("にあります", ruby))
    assert "Pump: P-20 | Limits: Speed: 2,900 rpm; Pressure: 16 bar" in read.text
    assert "Code: 10 | Meaning: Service\nMeaning: Code 11 is reserved." in read.text
    assert "二階にあります" in read.text and read.remarks == "left out: a reading above characters (ruby)"


# One bad part.

def test_a_bad_part_is_left_out_and_said() -> None:
    body = p("Key 88 opens the archive.", '<w:r><w:commentReference w:id="0"/></w:r>') + '<w:sectPr><w:headerReference w:type="default" r:id="r3"/></w:sectPr>'
    read = word(body, ("image", "../NULL"), ("comments", "gone.xml"), ("header", "header1.xml"), header1_xml=f"<w:hdr NAMES>{p('Rev. C')}<w:p><w:r><w:t>cut sh")
    assert read.text == "Page header: Rev. C.\n\nPage header: cut sh.\n\nKey 88 opens the archive."
    assert "word/gone.xml is missing" in read.remarks and "word/header1.xml is damaged" in read.remarks
    with pytest.raises(DocumentError, match="cannot be read as docx"):
        parse(packed({"word/document.xml": "<w"}), "a.docx")


def test_bytes_that_fail_their_check_lose_a_part_and_not_the_file() -> None:
    deck = deck_of("One.", "Two.")
    with zipfile.ZipFile(io.BytesIO(deck)) as archive:
        entry = archive.getinfo("ppt/slides/slide2.xml")
    spoiled = bytearray(deck)
    spoiled[entry.header_offset + 80: entry.header_offset + 90] = bytes(10)
    read = parse(bytes(spoiled), "a.pptx")
    assert read.text == "One." and len(read.pages) == 2 and "slide 2 could not be read" in read.remarks


def strict(data: bytes) -> bytes:
    pattern = re.compile(rb"http://schemas\.openxmlformats\.org/(officeDocument|wordprocessingml|presentationml|spreadsheetml|drawingml)/2006/")
    return packed({name: pattern.sub(rb"http://purl.oclc.org/ooxml/\1/", part) for name, part in unpacked(data).items()})


def test_strict_files_are_read() -> None:
    book, file = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["Key", "Share"])
    book.active.append(["K9", 0.125])
    book.active["B2"].number_format = "0.0%"
    book.save(file)
    assert "Key: K9 | Share: 12.5%" in parse(strict(file.getvalue()), "a.xlsx").text
    assert parse(strict(deck_of("The antenna is 31 metres high.")), "a.pptx").text == "The antenna is 31 metres high."


# PowerPoint.

def deck_of(*texts: str) -> bytes:
    deck, file = pptx.Presentation(), io.BytesIO()
    for text in texts:
        slide = deck.slides.add_slide(deck.slide_layouts[6])
        slide.shapes.add_textbox(Inches(1), Inches(1), Inches(3), Inches(1)).text_frame.text = text
    deck.save(file)
    return file.getvalue()


def slide_text(shapes: list[tuple[str, float, float]]) -> str:
    deck, file = pptx.Presentation(), io.BytesIO()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    for text, left, top in shapes:
        slide.shapes.add_textbox(Inches(left), Inches(top), Inches(3), Inches(0.8)).text_frame.text = text
    deck.save(file)
    return parse(file.getvalue(), "a.pptx").text


def test_slides_are_read_from_the_top_and_column_by_column() -> None:
    assert slide_text([("third", 1, 4), ("first", 1, 1), ("second", 1, 2.5)]) == "first\n\nsecond\n\nthird"
    assert slide_text([("d", 5, 3), ("a", 1, 1.2), ("c", 5, 1), ("b", 1, 3)]) == "a\n\nb\n\nc\n\nd"
    grid = [(f"{row}{column}", 1 + 4 * column, 1 + row) for column in range(2) for row in range(4)]
    assert slide_text(grid) == "\n\n".join(f"{row}{column}" for row in range(4) for column in range(2))


def test_notes_comments_footers_hidden_slides_and_charts_of_any_kind() -> None:
    deck, file = pptx.Presentation(), io.BytesIO()
    for _ in range(2):
        slide = deck.slides.add_slide(deck.slide_layouts[6])
    points = XyChartData()
    series = points.add_series("Head")
    series.add_data_point(10, 41.5)
    series.add_data_point(20, 38.25)
    slide.shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, Inches(1), Inches(2), Inches(4), Inches(3), points)
    slide._element.set("show", "0")
    deck.save(file)
    parts = unpacked(file.getvalue())
    footer = (b'<p:sp><p:nvSpPr><p:cNvPr id="9" name="f"/><p:cNvSpPr/><p:nvPr><p:ph type="ftr" idx="11"/></p:nvPr></p:nvSpPr>'
              b'<p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:t>Internal, doc 12</a:t></a:r></a:p></p:txBody></p:sp></p:spTree>')
    for name in ("ppt/slides/slide1.xml", "ppt/slides/slide2.xml"):
        parts[name] = parts[name].replace(b"</p:spTree>", footer)
    parts["ppt/slides/_rels/slide1.xml.rels"] = parts["ppt/slides/_rels/slide1.xml.rels"].replace(b"</Relationships>", f'<Relationship Id="c1" Type="{R}/comments" '
        f'Target="../comments/c1.xml"/></Relationships>'.encode())
    parts["ppt/comments/c1.xml"] = b'<p:cmLst xmlns:p="p"><p:cm authorId="0"><p:text>Moved to 18 September.</p:text></p:cm></p:cmLst>'
    read = parse(packed(parts), "a.ppsx")
    assert read.text == "Internal, doc 12\n\nComment: Moved to 18 September.\n\nX: 10 | Head: 41.5\nX: 20 | Head: 38.25"
    assert "slide 2 is hidden" in read.remarks


def test_a_form_of_empty_columns_keeps_their_names() -> None:
    deck, file = pptx.Presentation(), io.BytesIO()
    grid = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_table(3, 2, Inches(1), Inches(1), Inches(6), Inches(2)).table
    grid.cell(0, 0).text, grid.cell(0, 1).text = "Name of the inspector", "Badge"
    deck.save(file)
    assert parse(file.getvalue(), "a.pptx").text == "Name of the inspector | Badge"
    grid.cell(1, 0).text = "Ada"
    deck.save(file := io.BytesIO())
    assert parse(file.getvalue(), "a.pptx").text == "Name of the inspector: Ada\nBadge"


# Excel.

def sheet_text(rows: list[list[object]], formats: Mapping[str, str] = {}, merged: tuple[str, ...] = ()) -> str:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    for address, code in formats.items():
        book.active[address].number_format = code
    for cells in merged:
        book.active.merge_cells(cells)
    book.save(file)
    return parse(file.getvalue(), "a.xlsx").text


def test_cells_are_read_as_they_are_shown() -> None:
    text = sheet_text([["Article", "Discount", "Price", "Weight"], [742, 0.125, 4.5, 2.25]], {"A2": "00000", "B2": "0.0%", "C2": '#,##0.00\\ [$€-407]', "D2": '0.0" kg"'})
    assert text == "Sheet\n\nArticle: 00742 | Discount: 12.5% | Price: 4.50 € | Weight: 2.3 kg"


def test_names_over_several_columns_stand_above_each() -> None:
    rows = [["Region", "2023", None, "2024", None], [None, "Q1", "Q2", "Q1", "Q2"], ["North", 110, 125, 131, 149]]
    assert sheet_text(rows, merged=("B1:C1", "D1:E1", "A1:A2")) == "Sheet\n\nRegion: North | 2023 Q1: 110 | 2023 Q2: 125 | 2024 Q1: 131 | 2024 Q2: 149"
    assert sheet_text([["All prices", None], ["Part", "EUR"], ["Seal", 42]], merged=("A1:B1",)) == "Sheet\n\nAll prices\n\nPart: Seal | EUR: 42"


def test_formulas_without_results_links_and_comments() -> None:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in [["Item", "Total", "Form"], ["Tent", "=SUM(B3:B4)", "Open"], ["Stove", '=HYPERLINK("https://a.example/s","Stove")', "None"]]:
        book.active.append(row)
    book.active["C2"].hyperlink = "https://a.example/f"
    book.active["A2"].comment = openpyxl.comments.Comment("Out of stock.", "Ada")
    book.save(file)
    read = parse(file.getvalue(), "a.xlsx")
    assert "Item: Tent | Total: =SUM(B3:B4) | Form: Open (https://a.example/f)" in read.text
    assert 'https://a.example/s' in read.text and "Comment on A2 (Tent):" in read.text and "Out of stock." in read.text
    assert "a formula without a stored result, read as the formula (2 times)" in read.remarks


def test_text_boxes_and_charts_on_a_sheet() -> None:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in [["Week", "Guests"], [31, 420]]:
        book.active.append(row)
    book.save(file)
    parts = unpacked(file.getvalue())
    parts["xl/worksheets/_rels/sheet1.xml.rels"] = relations(("drawing", "../drawings/drawing1.xml")).encode()
    parts["xl/drawings/_rels/drawing1.xml.rels"] = relations(("chart", "/xl/charts/chart1.xml")).encode()
    parts["xl/charts/chart1.xml"] = CHART.replace("NAMES", NAMES).encode()
    anchor = "<x:anchor><x:from><x:col>1</x:col><x:row>{}</x:row></x:from>{}</x:anchor>"
    parts["xl/drawings/drawing1.xml"] = (f'<x:wsDr xmlns:x="x" {NAMES}>' + anchor.format(20, '<x:graphicFrame><a:graphic><a:graphicData><c:chart r:id="r1"/>'
        '</a:graphicData></a:graphic></x:graphicFrame>')
                                         + anchor.format(3, "<x:sp><x:txBody><a:p><a:r><a:t>Closed on </a:t></a:r><a:r><a:t>Thursday.</a:t></a:r></a:p></x:txBody>"
                                             "</x:sp>") + "</x:wsDr>").encode()
    assert parse(packed(parts), "a.xlsx").text.endswith("Week: 31 | Guests: 420\n\nClosed on Thursday.\n\nCategory: May | Close: 61")


def test_a_stray_cell_is_read_and_an_outsized_sheet_refused() -> None:
    far = workbook(b'<row r="1">' + cell("A1", b"5") + b'</row><row r="1048576">' + cell("XFD1048576", b"7") + b"</row>")
    assert parse(far, "a.xlsx").text == "a\n\n5\n\n7"
    with pytest.raises(DocumentError, match="reaches to column 700 and row 989,100"):
        parse(KINDS["diagonal.xlsx"](), "diagonal.xlsx")


# Formats.

@pytest.mark.parametrize(("stream", "says"), [("WordDocument", "cannot be read as doc"),
    ("PowerPoint Document", "cannot be read as ppt"), ("VisioDocument", "a Visio drawing"), ("__properties_version1.0", "cannot be read as msg")])
def test_old_formats_are_named(stream: str, says: str) -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + stream.encode("utf-16-le").ljust(128, b"\0")
    with pytest.raises(DocumentError, match=says):
        parse(data, "a.doc")
    workbook_too = data + "BOOK".encode("utf-16-le").ljust(128, b"\0")
    assert detect_format(workbook_too, "a.xls") == "xls"


def odf(kind: str, content: str, extra: Mapping[str, str] = {}) -> Document:
    names = " ".join(f'xmlns:{name}="{name}"' for name in ("office", "text", "table", "draw", "style", "svg", "xlink", "presentation", "dc"))
    wrapped = {name: f"<office:x {names}>{part}</office:x>" for name, part in {"content.xml": f"<office:body><office:{kind}>{content}</office:{kind}>"
        f"</office:body>", **extra}.items()}
    return parse(packed({"mimetype": f"application/vnd.oasis.opendocument.{kind}", **wrapped}), "a.odt")


def test_opendocument_texts_and_presentations() -> None:
    spanned = ('<table:table-row><table:table-cell table:number-rows-spanned="2"><text:p>CX</text:p></table:table-cell><table:table-cell><text:p>Cover</text:p>'
        '</table:table-cell></table:table-row><table:table-row><table:covered-table-cell/><table:table-cell><text:p>Gland</text:p></table:table-cell></table:table-row>')
    read = odf("text", '<text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:h text:outline-level="2">Fit<text:s/>it</text:h>'
        '<text:p>See <text:a xlink:href="https://a.example/f">form</text:a><text:note><text:note-body><text:p>Since May.</text:p></text:note-body></text:note>'
               '<draw:frame><svg:desc>Gate 3</svg:desc><draw:text-box><text:p>Boxed.</text:p></draw:text-box></draw:frame></text:p>'
               f'<table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>Model</text:p></table:table-cell><table:table-cell><text:p>Part</text:p>'
                   f'</table:table-cell></table:table-row></table:table-header-rows>{spanned}</table:table>',
               {"styles.xml": "<style:master-page><style:header><text:p>Rev. C</text:p></style:header></style:master-page>"})
    assert read.text == "Page header: Rev. C.\n\nFit it\n\nSee form (https://a.example/f)[1]\n\nPicture: Gate 3.\n\nBoxed.\n\n" \
                        "Model: CX | Part: Cover\nModel: CX | Part: Gland\n\n[1] Since May."
    deck = odf("presentation", '<draw:page><draw:frame presentation:class="title"><draw:text-box><text:p>Title</text:p></draw:text-box></draw:frame><draw:frame>'
        '<draw:text-box><text:p>Body</text:p></draw:text-box></draw:frame>'
               '<presentation:notes><draw:frame presentation:class="notes"><draw:text-box><text:p>Say hello.</text:p></draw:text-box></draw:frame></presentation:notes>'
                   '</draw:page>')
    assert deck.text == "Title\n\nBody\n\nNotes: Say hello." and deck.pages[0].kind == "slide"
