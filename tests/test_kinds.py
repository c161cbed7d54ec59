"""Siblings of the faults that public bug reports name: each test stands for one kind of words that were lost, doubled or put beside a wrong name."""

import io
import time
from email.message import EmailMessage
from struct import pack

import openpyxl
import pptx
import pytest
from openpyxl.styles.numbers import BUILTIN_FORMATS
from pptx.util import Inches
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas
from test_office import p, packed, table, word

from ragwb.documents.document import DocumentError
from ragwb.documents.parsing import parse
from ragwb.documents.pdf import rectangles
from ragwb.documents.rtf import with_looks, with_notes


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
    for wanted in ("a | Value: 000-4931", "b | Value: 1/2", "c | Value: 1.23E+06", "d | Value: yes", "e | Value: no", "f | Value: ($20.00)", "g | Value: 1234567890123456"):
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


def test_hidden_groups_and_boxes_of_rtf_take_linear_time() -> None:
    start = time.process_time()
    for part in (rb"{\v x}", rb"{\v ", rb"\v x", rb"{\shp{\shptxt a", rb"{\shp{\*\shpinst{\shptxt a}}}", rb"\strike a"):
        with_looks(part * 20_000)
        with_notes(part * 20_000)
    assert time.process_time() - start < 8


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


# Names that promise another format, and formats of old
def test_exports_that_only_their_name_makes_a_workbook_or_a_word_file() -> None:
    assert text_of("<html><body><table><tr><th>Depot</th><th>Ramp</th></tr><tr><td>Kiel</td><td>R7</td></tr></table></body></html>", "a.xls") == "Depot: Kiel | Ramp: R7"
    assert text_of("Depot\tRamp\nKiel\tR7\n", "a.xls") == "Depot: Kiel | Ramp: R7"
    assert text_of("<html><p>The ferry needs 25 minutes.</p></html>", "a.doc") == "The ferry needs 25 minutes."
    with pytest.raises(DocumentError, match="but its content is not"):
        parse(b"<!DOCTYPE html><title>Sign in</title>", "a.xlsx")


def test_xml_of_office_and_of_data() -> None:
    name = "urn:schemas-microsoft-com:office:spreadsheet"
    rows = '<Row><Cell><Data>Depot</Data></Cell><Cell><Data>Ramp</Data></Cell></Row><Row><Cell s:Index="2"><Data>R9</Data></Cell></Row>'
    sheet_one = f'<Worksheet s:Name="Ramps"><Table>{rows}</Table></Worksheet>'
    sheet_2003 = f'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook xmlns="{name}" xmlns:s="{name}">{sheet_one}</Workbook>'
    assert text_of(sheet_2003, "a.xls") == "Ramps\n\nRamp: R9"
    assert text_of("<orders><order id='7'><part>Axle</part></order><order id='8'><part>Hub</part></order></orders>", "a.xml") == "order\n\nid: 7 | part: Axle\nid: 8 | part: Hub"
    assert "damaged" in parse(b"<a><b>gate 7</b><c>", "a.xml").remarks
    with pytest.raises(DocumentError, match="nested"):
        parse(b"<a>" * 3000 + b"x" + b"</a>" * 3000, "a.xml")


def tnef(files: dict[str, bytes]) -> bytes:
    parts = [(number, content) for name, data in files.items() for number, content in ((0x8010, name.encode() + b"\0"), (0x800F, data))]
    return pack("<IH", 0x223E9F78, 1) + b"".join(pack("<BHHI", 2, number, 0, len(content)) + content + b"\0\0" for number, content in parts)


def test_archives_and_winmail_that_came_with_a_mail_are_read() -> None:
    mail = EmailMessage()
    mail["Subject"] = "Plan"
    mail.set_content("See below.")
    mail.add_attachment(tnef({"report.txt": b"Repaired in week 31."}), maintype="application", subtype="ms-tnef", filename="winmail.dat")
    mail.add_attachment(packed({"a/plan.txt": "Opened on 5 June.", "b.exe": "MZ"}), maintype="application", subtype="zip", filename="plan.zip")
    mail.add_attachment(packed({str(n): "x" for n in range(300)}), maintype="application", subtype="zip", filename="many.zip")
    read = parse(mail.as_bytes(), "a.eml")
    assert "Repaired in week 31." in read.text and "Attachment: plan.zip\n\nFile: a/plan.txt\n\nOpened on 5 June." in read.text
    assert "b.exe is not read" in read.remarks and "many.zip is not read" in read.remarks


def compound(streams: dict[str, bytes]) -> bytes:
    "A container of Office with its streams in the folder at its root, each in sectors of its own."
    table, body, places = [0xFFFFFFFD], b"", []
    for content in streams.values():
        places.append((len(table), len(content)))
        count = -(-len(content) // 512)
        table += [*range(len(table) + 1, len(table) + count), 0xFFFFFFFE]
        body += content.ljust(512 * count, b"\0")
    entries = pack("<64sHBB3I36xIQ", "Root Entry".encode("utf-16-le"), 22, 5, 1, 0xFFFFFFFF, 0xFFFFFFFF, 1, 0xFFFFFFFE, 0)
    for at, (name, place) in enumerate(zip(streams, places, strict=True), start=1):
        coded = name.encode("utf-16-le")
        entries += pack("<64sHBB3I36xIQ", coded, len(coded) + 2, 2, 1, 0xFFFFFFFF, at + 1 if at < len(streams) else 0xFFFFFFFF, 0xFFFFFFFF, *place)
    start, count = len(table), -(-len(entries) // 512)
    table += [*range(start + 1, start + count), 0xFFFFFFFE]
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + pack("<HHHHH6x9I", 62, 3, 0xFFFE, 9, 6, 0, 1, start, 0, 0, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    return head + pack("<109I", 0, *[0xFFFFFFFF] * 108) + pack("<128I", *table, *[0xFFFFFFFF] * (128 - len(table))) + body + entries.ljust(512 * count, b"\0")


def test_a_mail_saved_by_outlook() -> None:
    wide = {"0037001F": "Crane 4", "1000001F": "It is checked on 9 June.", "0C1A001F": "Ida Moor", "0E04001F": "Bo"}
    read = parse(compound({"__properties_version1.0": bytes(32), **{f"__substg1.0_{name}": text.encode("utf-16-le") for name, text in wide.items()}}), "a.msg")
    assert read.text == "From: Ida Moor\nTo: Bo\nSubject: Crane 4\n\nIt is checked on 9 June." and read.title == "Crane 4"


def old_word(text: str, flags: int = 0x200) -> bytes:
    half = len(text) // 2
    first, second = text[:half].encode("cp1252"), text[half:].encode("utf-16-le")
    head = pack("<H8xH", 0xA5EC, flags).ljust(0x4C, b"\0") + pack("<I", len(text))
    main = (head.ljust(0x1A2, b"\0") + pack("<II", 0, 33)).ljust(0x400, b"\0") + first
    pieces = pack("<IIIII2xIH2xIH", 28, 0, half, len(text), 0, 0, 0, 0, 0)[:16]
    return compound({"WordDocument": main + second, "1Table": b"\2" + pieces + pack("<2xIH", 0x40000000 | 0x800, 0) + pack("<2xIH", 0x400 + len(first), 0)})


def test_a_word_file_of_the_years_before_2007() -> None:
    read = parse(old_word("Größe \x13HYPERLINK x\x14report\x15\rBoat\x07Fee\x07\x07Yawl\x0760\x07\x07Die Prüfung endet im März.\r"), "a.doc")
    assert read.text == "Größe report\n\nBoat: Yawl | Fee: 60\n\nDie Prüfung endet im März." and "old Word file" in read.remarks
    with pytest.raises(DocumentError, match="password"):
        parse(old_word("x", 0x300), "a.doc")
    with pytest.raises(DocumentError, match="cannot be read|older than"):
        parse(compound({"WordDocument": b"\xec\xa5".ljust(0x400, b"\0")}), "a.doc")


# JSON, text, PDF
def test_settings_with_comments_and_commas_too_many() -> None:
    assert text_of('{\n // limits, see "x"\n "url": "http://a, ]", /* kPa */ "limit": 16,\n}', "a.json") == "url: http://a, ]\nlimit: 16"


def test_japanese_of_seven_bits_and_stray_nulls() -> None:
    assert text_of("会議室は八時に開きます".encode("iso2022_jp"), "a.txt") == "会議室は八時に開きます"
    log = parse(b"Pump log\0\0\0 7 March\nvalve 4 open\n", "a.log")
    assert "valve 4 open" in log.text and "3 null characters" in log.remarks
    with pytest.raises(DocumentError, match="binary"):
        parse(bytes(range(32)) * 9, "a.txt")


def drawn(draw: object) -> bytes:
    file = io.BytesIO()
    page_ = canvas.Canvas(file, pagesize=(420, 300), invariant=True)
    draw(page_)  # type: ignore[operator]
    page_.save()
    return file.getvalue()


def test_letters_that_are_set_apart_are_words() -> None:
    def draw(page_: canvas.Canvas) -> None:
        page_.setFont("Helvetica-Bold", 16)
        page_.drawString(40, 250, "C O N T E N T S")
        text = page_.beginText(40, 200)
        text.setCharSpace(6)
        text.textOut("OPERATING RULES")
        page_.drawText(text)
        text = page_.beginText(40, 150)
        text.setCharSpace(0)
        text.setFont("Helvetica", 11)
        text.textOut("A B C D E F G")
        page_.drawText(text)

    data = drawn(draw)
    read = parse(data, "a.pdf")
    assert read.text == "CONTENTS\n\nOPERATING RULES\n\nA B C D E F G"
    (place,) = rectangles(data, read, 0, 8)
    assert place.left < 45 and place.right > 150


def test_lines_of_japanese_are_joined_without_a_blank() -> None:
    def draw(page_: canvas.Canvas) -> None:
        pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
        page_.setFont("HeiseiMin-W3", 11)
        page_.drawString(40, 250, "会議室は八時に開き")
        page_.drawString(40, 234, "ます。")

    assert text_of(drawn(draw), "a.pdf") == "会議室は八時に開きます。"


def test_panels_below_questions_are_read() -> None:
    page = "<h1>Help</h1><button><span>How do I cancel?</span></button><div style='display:none'>Write to desk 14.</div>"
    text = text_of(page + "<h3><button>Pets</button></h3><div hidden>Dogs: 8 euros.</div>" + "<button>Close it now please</button><div hidden>Track 7</div>", "a.html")
    assert "How do I cancel?\n\nWrite to desk 14." in text and "Dogs: 8 euros." in text and "Track 7" not in text


def test_a_box_beside_the_text_that_says_how_to_reach_someone_is_read() -> None:
    text = text_of("<p>News of the bridge.</p><aside>Hotline 0800 4455</aside><aside><a href='/x'>More news</a></aside>", "a.html")
    assert "Hotline 0800 4455" in text and "More news" not in text


def test_a_formula_beside_and_below_all_values_is_read() -> None:
    assert "Mean | =AVERAGE(B2:B3)" in sheet(["Mean", "=AVERAGE(B2:B3)"])
    assert sheet(["=1+1"]).endswith("=1+1") and "=A1 | 5" in sheet(["=A1", 5])


def test_readings_above_characters_and_pictures_of_other_programs_in_word() -> None:
    code = r'EQ \* jc2 \* "Font:X" \* hps10 \o\ad(\s\up 9(とう),塔)'
    begin, end = (f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "end"))
    field = f"<w:p>{begin}<w:r><w:instrText>{code}</w:instrText></w:r>{end}<w:r><w:t>は高い。</w:t></w:r></w:p>"
    assert "塔は高い。" in word(field).text
    named = '<pic:cNvPr xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture" id="0" name="a.jpg" descr="Meter cupboard: third door"/>'
    frame = '<wp:docPr xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" id="4" name="G" descr="Meter cupboard: third door"/>'
    for drawing in (frame + named, named):
        assert word(f"<w:p><w:r><w:drawing>{drawing}</w:drawing></w:r></w:p>").text.count("third door") == 1
