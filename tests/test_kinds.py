"""Siblings of the faults that public bug reports name: each test stands for one kind of words that were lost, doubled or put beside a wrong name."""

import io

import openpyxl
import pptx
import pytest
from openpyxl.styles.numbers import BUILTIN_FORMATS
from pptx.util import Inches
from test_office import p, packed, table, word

from ragwb.documents.parsing import parse


def text_of(data: bytes | str, name: str) -> str:
    return parse(data.encode() if isinstance(data, str) else data, name).text


def sheet(*rows: list[object], merged: str = "", formats: tuple[str, ...] = (), header: str = "") -> str:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for at, code in enumerate(formats, start=2):
        book.active.cell(at, 2).number_format = code
    if merged:
        book.active.merge_cells(merged)
    if header:
        book.active.oddHeader.left.text = header
    file = io.BytesIO()
    book.save(file)
    return text_of(file.getvalue(), "a.xlsx")


# Tables
@pytest.mark.parametrize("first", [["", "2023", "2023", "2024", "2024"], ["", "2023", "", "2024", ""]])
def test_a_header_of_two_rows_is_joined_in_every_format(first: list[str]) -> None:
    rows = [first, ["Region", "Q1", "Q2", "Q1", "Q2"], ["North", "11", "12", "13", "14"], ["South", "21", "22", "23", "24"]]
    wanted = "Region: South | 2023 Q1: 21 | 2023 Q2: 22 | 2024 Q1: 23 | 2024 Q2: 24"
    assert wanted in text_of("\n".join(map(",".join, rows)), "a.csv") and wanted in sheet(*map(list, rows))
    assert wanted in word(table(*map(tuple, rows))).text
    assert "Name: Bo | Tea: yes | Age: 7" in text_of("Name,Tea,Age\nAnn,yes,6\nBo,yes,7\n", "a.csv")


def test_a_header_that_comes_again_is_no_data() -> None:
    assert sheet(["Part", "Price"], ["Hub", 12], ["Part", "Price"], ["Axle", 40]).endswith("Part: Hub | Price: 12\nPart: Axle | Price: 40")


def test_a_merged_text_is_in_each_of_its_rows_and_columns_but_a_title_once() -> None:
    days = (["Day", "Hall", "Opens"], ["Monday", "West", "8"], ["Tuesday", None, "9"])
    assert "Day: Tuesday | Hall: West | Opens: 9" in sheet(*days, merged="B2:B3")
    assert "Day: Monday | Morning: closed | Noon: closed" in sheet(["Day", "Morning", "Noon"], ["Monday", "closed", None], ["Tuesday", "A", "B"], merged="B2:C2")
    assert sheet(["Title", None], [None, None], ["a", "b"], ["x", 2], merged="A1:B2").count("Title") == 1


def test_lines_about_a_sheet_right_above_its_table_are_no_header() -> None:
    text = sheet(["Plant:", "Kiel"], ["Part", "Shelf", "Count"], ["Hub", "S4", 12], ["Axle", "S9", 40])
    assert "Plant: Kiel" in text and "Part: Axle | Shelf: S9 | Count: 40" in text


def test_numbers_are_read_as_their_format_shows_them() -> None:
    formats = ("000-0000", BUILTIN_FORMATS[12], BUILTIN_FORMATS[11], '"yes";;"no"', '"yes";;"no"', '"$"#,##0.00;("$"#,##0.00)')
    text = sheet(["Item", "Value"], ["a", 4931], ["b", 0.5], ["c", 1230000], ["d", 1], ["e", 0], ["f", -20], ["g", 1234567890123456], formats=formats)
    for wanted in ("a | Value: 000-4931", "b | Value: 1/2", "c | Value: 1.23E+06", "d | Value: yes", "e | Value: no", "f | Value: -$20", "g | Value: 1234567890123456"):
        assert wanted in text


def test_errors_and_printed_headers_of_a_sheet_are_read() -> None:
    assert "Ratio: #DIV/0!" in sheet(["Part", "Ratio"], ["Hub", "#DIV/0!"], ["Axle", 2])
    assert "Page header: Document VA-77." in sheet(["a", "b"], ["x", 2], header="&BDocument VA-77")


def test_delimiters_and_quotation_marks_of_other_programs() -> None:
    assert "town: Chur | fee: 14" in text_of("code^town^fee\nA1^Bern^12\nB2^Chur^14\n", "a.csv")
    assert "name: Valve, large | price: 48" in text_of("name,price\n'Valve, small',12\n'Valve, large',48\n", "a.csv")
    assert "name: Ada | place: Rome, IT" in text_of('"id", "name", "place"\n"1", "Ada", "Rome, IT"\n', "a.csv")


# Looks that carry a meaning
def test_struck_and_hidden_words_and_raised_numbers() -> None:
    run = '<w:r><w:rPr><w:{}/></w:rPr><w:t xml:space="preserve">{}</w:t></w:r>'
    read = word(f"<w:p>{run.format('strike', '120 ')}{run.format('dstrike', 'or 110')}{run.format('vanish', 'draft')}<w:r><w:t> 95 euros</w:t></w:r></w:p>")
    assert read.text == "~~120 or 110~~ 95 euros" and "hidden text" in read.remarks
    rtf = text_of(r"{\rtf1 Area 12 m{\super 2}, {\strike 120 }95 euros{\v  draft}, {\deleted gone }{\*\x}\pard{\pntext\f0 1.\tab}Open.\par}", "a.rtf")
    assert "12 m^2, ~~120~~ 95 euros" in rtf and "draft" not in rtf and "gone" not in rtf and "1. Open." in rtf.replace("\t", " ")
    deck = pptx.Presentation()
    frame = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_textbox(0, 0, Inches(3), Inches(1)).text_frame
    for text, name, value in (("m", "", ""), ("2", "baseline", "30000"), (" at ", "", ""), ("120", "strike", "sngStrike"), (" 95", "", "")):
        run_ = frame.paragraphs[0].add_run()
        run_.text = text
        if name:
            run_.font._element.set(name, value)
    file = io.BytesIO()
    deck.save(file)
    assert text_of(file.getvalue(), "a.pptx") == "m^2 at ~~120~~ 95"


def test_a_text_box_of_rtf_and_words_on_the_layout_of_slides() -> None:
    assert "Gate 4 stays shut." in text_of(r"{\rtf1 Before.\par{\shp{\*\shpinst{\sp{\sn x}{\sv 2}}{\shptxt \pard Gate 4 stays shut.\par}}}After.\par}", "a.rtf")
    deck = pptx.Presentation()
    layout = deck.slide_layouts[6]
    box = deck.slides.add_slide(layout).shapes.add_textbox(0, 0, Inches(3), Inches(1))
    box.text_frame.text = "Confidential"
    layout.shapes._spTree.append(box._element)
    for _ in range(2):
        deck.slides.add_slide(layout).shapes.add_textbox(0, 0, Inches(3), Inches(1)).text_frame.text = "Text"
    file = io.BytesIO()
    deck.save(file)
    assert text_of(file.getvalue(), "a.pptx").count("Confidential") == 1


# Web pages and books
def page(body: str) -> str:
    return text_of(f"<html><head><title>t</title></head><body>{body}</body></html>", "a.html")


@pytest.mark.parametrize(("body", "wanted"), [
    ("<dl><dt>Voltage<dd>48 V<dt>Current:<dd>12 A</dl>", "Voltage: 48 V\n\nCurrent: 12 A"),
    ("<dl><dt>What is the fee?<dd>12 euros</dl>", "What is the fee?\n\n12 euros"),
    ("<form><p>Size <select><option>S<option selected>M</select> <input value=Trier> <input type=hidden value=x><input type=radio> Fast</form>", "Size M Trier ☐ Fast"),
    ("<p>The <abbr title='Harbour Office'>HO</abbr> opens <time datetime=2025-06-03>tomorrow</time></p>", "The HO (Harbour Office) opens tomorrow (2025-06-03)"),
    ("<iframe srcdoc='&lt;p&gt;Berth 12&lt;/p&gt;'></iframe><x-a><template shadowrootmode=open><p>Sail</p></template></x-a>", "Berth 12\n\nSail"),
    ("<ol start=3><li>Close<ol type=a><li>left<li>press</ol><li value=7>Seal</ol>", "3. Close\n  a. left\n  b. press\n7. Seal"),
    ("<button aria-controls=p>Lost key</button><div id=p hidden><p>Call us.</p></div>", "Lost key\n\nCall us."),
    ("<div role=table><div role=row><b role=x></b><span role=columnheader>Gate</span><span role=columnheader>Opens</span></div>"
     "<div role=row><span role=cell>G9</span><span role=cell>06:10</span></div></div>", "Gate: G9 | Opens: 06:10"),
    ("<table><tr><td><b>Fee</b><td>12<tr><td><b>Deposit:</b><td>50</table>", "Fee: 12\nDeposit: 50"),
])  # fmt: skip
def test_what_a_browser_shows_is_read(body: str, wanted: str) -> None:
    assert page(body) == wanted


def book(manifest: str, spine: str, **files: str) -> str:
    opf = f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{manifest}</manifest><spine>{spine}</spine></package>'
    container = '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="c.opf"/></rootfiles></container>'
    chapters = {f"{name}.html": f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{body}</body></html>' for name, body in files.items()}
    return text_of(packed({"META-INF/container.xml": container, "c.opf": opf, **chapters}), "a.epub")


def test_books_with_faults_in_their_package_file() -> None:
    item = '<item id="{0}" href="{0}.html" media-type="{1}"/>'
    assert book(item.format("a", "text/x-oeb1-document"), '<itemref idref="a"/>', a="<p>Old.</p>") == "Old."
    assert book(item.format("a", "application/xhtml+xml"), "", a="<p>No order.</p>") == "No order."
    assert book(item.format("a", "text/html") + '<item id="x" href="A&T.html"/>', '<itemref idref="a"/>', a="<p>Ampersand.</p>") == "Ampersand."
    nav = "<nav><h2>Contents</h2><a href='a.html'>Queens</a></nav>"
    both = item.format("n", "text/html") + item.format("a", "text/html"), '<itemref idref="n"/><itemref idref="a"/>'
    assert book(*both, n=nav + "<p>For Ida.</p>", a="<p>Text.</p>") == "For Ida.\n\nText."
    assert book(*both, n="<h1>Book</h1>" + nav, a="<p>Text.</p>") == "Text."


def test_a_plain_paragraph_stays_as_it_is() -> None:
    assert word(p("The seal takes 12 Nm.")).text == "The seal takes 12 Nm."
