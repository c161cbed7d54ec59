"""More kinds of words that files hold and readers lose: each test stands for one kind, in the formats that have it."""

import io
import re
import unicodedata
import zipfile
from email.message import EmailMessage

import openpyxl
import pptx
import pytest
from pptx.util import Inches
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen import canvas
from test_office import p, packed, word

from ragwb.documents.document import Document, DocumentError
from ragwb.documents.encoding import decode
from ragwb.documents.files import detect_format
from ragwb.documents.html import html_table_text
from ragwb.documents.parsing import parse
from ragwb.documents.pdf import rectangles

NAMES = " ".join(f'xmlns:{name}="urn:{name}"' for name in ("text", "table", "draw", "style", "svg", "xlink", "chart", "presentation", "o"))
OFFICE = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'


def text_of(data: bytes | str, name: str) -> str:
    return parse(data.encode() if isinstance(data, str) else data, name).text


def odf(kind: str, body: str, styles: str = "", **parts: str) -> Document:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr("content.xml", f"<office:x {OFFICE} {NAMES}><office:body><office:{kind}>{body}</office:{kind}></office:body></office:x>")
        archive.writestr("styles.xml", f"<office:x {OFFICE} {NAMES}>{styles}</office:x>")
        for name, part in parts.items():
            archive.writestr(f"{name}/content.xml", f"<office:x {OFFICE} {NAMES}>{part}</office:x>")
    return parse(file.getvalue(), {"text": "a.odt", "presentation": "a.odp"}[kind])


def workbook() -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in (["Depot", "Vans"], ["Lier", 14], ["Mol", 9]):
        book.active.append(row)
    book.save(file)
    return file.getvalue()


# Files in files.
def test_a_workbook_within_a_text_or_a_slide_is_read() -> None:
    inner = zipfile.ZipFile(io.BytesIO(workbook()))
    deck, file = pptx.Presentation(), io.BytesIO()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    slide.shapes.add_ole_object(io.BytesIO(workbook()), "Excel.Sheet.12", Inches(1), Inches(1))
    deck.save(file)
    assert inner.testzip() is None and "Depot: Mol | Vans: 9" in text_of(file.getvalue(), "a.pptx")
    names = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    parts = {"[Content_Types].xml": "<x/>", "word/document.xml": f'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" {names}><w:body><w:p><w:r>'
             f'<w:object><OLEObject ProgID="Excel.Sheet.12" r:id="r1"/></w:object><w:t>See</w:t></w:r></w:p></w:body></w:document>',
             "word/_rels/document.xml.rels": f'<R><Relationship Id="r1" Type="{kind}/package" Target="embeddings/a.xlsx"/></R>', "word/embeddings/a.xlsx": workbook()}
    assert "Depot: Mol | Vans: 9" in text_of(packed(parts), "a.docx")


def test_what_cannot_be_read_within_a_file_is_said() -> None:
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    parts = {"[Content_Types].xml": "<x/>", "word/document.xml": f'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="{kind}"><w:body>'
             '<w:p><w:r><w:object><OLEObject ProgID="Paint" r:id="r1"/></w:object><w:t>See</w:t></w:r></w:p></w:body></w:document>',
             "word/_rels/document.xml.rels": f'<R><Relationship Id="r1" Type="{kind}/oleObject" Target="embeddings/a.bin"/></R>', "word/embeddings/a.bin": b"\0\1\2"}
    read = parse(packed(parts), "a.docx")
    assert (read.text, read.remarks) == ("See", "left out: an embedded object (Paint)")


# Word.
def test_a_field_within_the_code_of_another_shows_nothing() -> None:
    def mark(kind: str) -> str:
        return f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>'

    def code(text: str) -> str:
        return f"<w:r><w:instrText>{text}</w:instrText></w:r>"

    def run(text: str) -> str:
        return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'

    inner = mark("begin") + code(" MERGEFIELD Sex ") + mark("separate") + run("HERR") + mark("end")
    field = mark("begin") + code(" IF ") + inner + code(' = "HERR" "Dear Mr" "Dear Ms" ') + mark("separate") + run("Dear Mr") + mark("end")
    assert word(f"<w:p>{field}{run(' Blum')}</w:p>").text == "Dear Mr Blum"
    assert word(p("plain")).text == "plain"


# OpenDocument.
def test_all_headers_and_footers_of_an_opendocument_text_are_read_once() -> None:
    styles = ("<style:header><text:p>Order 88</text:p></style:header><style:header-first><text:p>Draft</text:p></style:header-first>"
              "<style:header-left><text:p>Order 88</text:p></style:header-left><style:footer-left><text:p>Haas</text:p></style:footer-left>")
    assert odf("text", "<text:p>Body.</text:p>", styles).text == "Page header: Order 88.\n\nPage header: Draft.\n\nBody.\n\nPage footer: Haas."


def test_a_list_item_of_two_paragraphs_has_one_number() -> None:
    style = '<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/></text:list-style>'
    items = "<text:list-item><text:p>Open it.</text:p><text:p>Wait.</text:p></text:list-item><text:list-item><text:p>Close it.</text:p></text:list-item>"
    assert odf("text", f'<text:list text:style-name="L">{items}</text:list>', style).text == "1. Open it.\n  Wait.\n2. Close it."


def test_charts_and_nested_tables_of_opendocument_are_read() -> None:
    def row(*cells: str) -> str:
        return "<table:table-row>" + "".join(f"<table:table-cell>{cell}</table:table-cell>" for cell in cells) + "</table:table-row>"

    def line(text: str) -> str:
        return f"<text:p>{text}</text:p>"

    chart = (f"<office:body><office:chart><chart:chart><chart:title>{line('Yield')}</chart:title><table:table><table:table-header-rows>{row('', line('Tonnes'))}"
             f"</table:table-header-rows><table:table-rows>{row(line('Field 3'), line('41.5'))}</table:table-rows></table:table></chart:chart></office:chart></office:body>")
    assert odf("text", '<text:p><draw:frame><draw:object xlink:href="./Object1"/></draw:frame></text:p>', Object1=chart).text == "Yield\n\nField 3 | Tonnes: 41.5"
    inner = f"<table:table>{row(line('in'), line('ner'))}</table:table>"
    assert odf("text", f"<table:table>{row(line('A'), inner)}{row(line('X'), line('Y'))}</table:table>").text.count("ner") == 1


def test_texts_of_a_slide_stand_in_reading_order() -> None:
    frames = "".join(f'<draw:frame svg:x="1cm" svg:y="{y}cm" svg:width="5cm" svg:height="1cm"><draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame>'
                     for y, text in ((9, "last"), (2, "first"), (5.5, "second")))
    assert odf("presentation", f"<draw:page>{frames}</draw:page>").text == "first\n\nsecond\n\nlast"


def test_flat_opendocument_is_read() -> None:
    body = "<office:body><office:text><text:h text:outline-level='1'>Rules</text:h><text:p>Boat <text:span>seven</text:span>.</text:p></office:text></office:body>"
    assert text_of(f"<office:document {OFFICE} {NAMES}>{body}</office:document>", "a.fodt") == "Rules\n\nBoat seven."


# Mail and calendars.
def test_an_alarm_within_an_appointment_ends_nothing() -> None:
    event = "BEGIN:VEVENT\nSUMMARY:Check\nBEGIN:VALARM\nDESCRIPTION:Reminder\nEND:VALARM\nDTSTART:20250612T083000Z\nEND:VEVENT\n"
    wanted = "Summary: Check | Start: 2025-06-12 08:30 UTC"
    assert text_of(f"BEGIN:VCALENDAR\n{event}END:VCALENDAR\n", "a.ics") == wanted
    assert text_of(f"Content-Type: text/calendar\n\n{event}", "a.eml").endswith(wanted)
    assert text_of("BEGIN:VTODO\nSUMMARY:Send it\nDUE:20250305\n", "a.ics") == "Summary: Send it | Due: 2025-03-05"


def test_lines_that_a_mail_program_broke_are_whole_again() -> None:
    head = "Content-Type: text/plain; charset=utf-8; format=flowed"
    assert text_of(f"{head}\n\nThe pump \nstation opens.\nBye.\n", "a.eml") == "The pump station opens.\nBye."
    assert text_of(f"{head}; delsp=yes\n\nPumpen \nstation\n> old \n> words\n", "a.eml").startswith("Pumpenstation\n> old")


def test_a_mail_of_apple_mail_and_a_contact_are_read() -> None:
    mail = b"Subject: Key\n\nDoor 12.\n"
    assert text_of(b"%d\n" % len(mail) + mail + b"<plist><integer>1</integer></plist>", "a.emlx") == "Subject: Key\n\nDoor 12."
    message = EmailMessage()
    message.set_content("See below.")
    message.add_attachment("BEGIN:VCARD\nFN:Ida Brun\nEND:VCARD\n", subtype="vcard", filename="ida.vcf")
    assert "Name: Ida Brun" in text_of(message.as_bytes(), "a.eml")


# XML.
def test_prose_in_xml_keeps_its_order_and_data_their_names() -> None:
    book = "<FictionBook><body><section><title><p>One</p></title><p>The <emphasis>old</emphasis> crane fell.</p></section></body></FictionBook>"
    assert text_of(book, "a.fb2") == "One\n\nThe old crane fell."
    assert text_of("<a><b>1</b><c>2</c></a>", "a.xml") == "b: 1\nc: 2"


# Tables.
def test_a_second_table_in_a_csv_file_has_its_own_names_and_a_gap_changes_nothing() -> None:
    assert text_of("Depot,Vans\nMol,9\n\nDriver,Licence\nIda,CE\nOle,C\n", "a.csv") == "Depot: Mol | Vans: 9\n\nDriver: Ida | Licence: CE\nDriver: Ole | Licence: C"
    assert text_of("name,city\nAnn,Ulm\n\nBob,Bonn\n\nCid,Kiel\n", "a.csv") == "name: Ann | city: Ulm\nname: Bob | city: Bonn\nname: Cid | city: Kiel"


def test_units_below_the_names_belong_to_them() -> None:
    rows = "time;flow;temp\ns;m³/h;°C\n0;1,5;20,1\n10;1,7;20,4\n"
    assert text_of(rows, "a.csv").splitlines()[0] == "time s: 0 | flow m³/h: 1,5 | temp °C: 20,1"


def test_a_table_of_html_in_markdown_has_named_rows() -> None:
    tagged = "# A\n\n<table><tr><th rowspan=2>Boat</th><th colspan=2>Fee</th></tr><tr><th>day</th><th>week</th></tr>\n"
    tagged += "<tr><th>large</th><td>19</td><td>99</td></tr></table>\n\nEnd.\n"
    assert text_of(tagged, "a.md") == "# A\n\nBoat: large | Fee day: 19 | Fee week: 99\n\nEnd.\n"
    for plain in ("A `<table>` is a tag.\n", "<table>\nno end\n", "~~~\n<table></table>\n~~~\n"):
        assert text_of(plain, "a.md") == plain
    assert html_table_text("<table><tr><td>x</td></tr></table> after") == "x\n\nafter"


def test_titles_on_buttons_are_words_apart() -> None:
    def button(text: str) -> str:
        return f'<button aria-expanded="false" aria-controls="x">{text}</button>'

    assert text_of(f"<h3>{button('How do I return it?')}{button('Who pays for that?')}</h3><p>We do.</p>", "a.html").startswith("How do I return it? Who pays for that?")


# Encodings.
def test_rare_encodings_are_recognised() -> None:
    korean = "창고 열쇠는 문 뒤에 있습니다."
    assert decode(korean.encode("iso2022_kr"), "a.txt").text == korean
    arabic = "مفتاح المخزن معلق خلف الباب الثاني عشر بجانب السلم. يأتي الحارس في السادسة صباحا."
    assert decode(arabic.encode("iso8859-6"), "a.txt").text == arabic
    vietnamese = "Chìa khóa tủ số mười hai do người trực ban giữ. Phòng trực ban ở tầng hai, bên cạnh cầu thang."
    tones = re.compile("[\u0300\u0301\u0303\u0309\u0323]")
    apart = [unicodedata.normalize("NFD", c) for c in vietnamese]
    coded = "".join(unicodedata.normalize("NFC", tones.sub("", c)) + "".join(tones.findall(c)) for c in apart).encode("cp1258")  # that page has tones as letters of their own
    assert decode(coded, "a.txt").text == vietnamese


# PDF.
def test_an_exponent_is_no_part_of_its_number_and_can_be_shown() -> None:
    file = io.BytesIO()
    page = canvas.Canvas(file, pagesize=(300, 80))
    end = 20 + stringWidth("The strain is 4.2 x 10", "Helvetica", 12)
    for words, size, x, y in (("The strain is 4.2 x 10", 12, 20, 40), ("6", 7, end, 45), ("at rest.", 12, end + 7, 40), ("H", 12, 20, 15), ("2", 7, 28.7, 12), ("O", 12, 32.6, 15)):
        page.setFont("Helvetica", size)
        page.drawString(x, y, words)
    page.save()
    read = parse(file.getvalue(), "a.pdf")
    assert read.text == "The strain is 4.2 x 10^6 at rest.\n\nH2O"
    assert rectangles(file.getvalue(), read, read.text.index("^6") + 1, read.text.index("^6") + 2)


# Old files.
def test_what_an_old_file_is_decides_who_reads_it() -> None:
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
    for stream, format in (("PowerPoint Document", "ppt"), ("Workbook", "xls"), ("WordDocument", "doc")):
        assert detect_format(head + stream.encode("utf-16-le").ljust(128, b"\0"), "a.bin") == format
    with pytest.raises(DocumentError):
        parse(head + "PowerPoint Document".encode("utf-16-le").ljust(128, b"\0"), "a.ppt")


def test_what_an_object_shows_in_rtf_is_read() -> None:
    assert text_of(rb"{\rtf1\ansi Before {\object\objemb{\*\objdata 0105}{\result shown words}} after\par}", "a.rtf") == "Before shown words after"
