"Files that are cut off or damaged: what can be read is there, and the rest is said; and parts of a file that stand where nobody looks."

import struct
import zipfile
from email.message import EmailMessage
from io import BytesIO

import docx
import pytest
from docx.oxml import parse_xml
from pptx import Presentation
from pptx.util import Inches
from reportlab.pdfgen.canvas import Canvas
from xlsxwriter import Workbook

from ragwb.documents import files
from ragwb.documents.document import DocumentError
from ragwb.documents.encoding import decode
from ragwb.documents.files import opened_zip, read_entry
from ragwb.documents.parsing import parse

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:v="urn:schemas-microsoft-com:vml"'
CUT = "the file is cut off: what is before the cut is there"


def zipped(**files: str | bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def word(*paragraphs: str) -> bytes:
    document, file = docx.Document(), BytesIO()
    for text in paragraphs:
        if text.startswith("<"):
            document.element.body.insert(-1, parse_xml(f"<w:p {W}>{text}</w:p>"))
        else:
            document.add_paragraph(text)
    document.save(file)
    return file.getvalue()


def workbook() -> bytes:
    file = BytesIO()
    book = Workbook(file)
    sheet = book.add_worksheet()
    for row in [("Tool", "Drawer"), *((f"Tool {n}", f"drawer {n % 13}") for n in range(400))]:
        sheet.write_row(sheet.dim_rowmax + 1 if sheet.dim_rowmax is not None else 0, 0, row)
    book.close()
    return file.getvalue()


def deck() -> bytes:
    slides, file = Presentation(), BytesIO()
    for text in ("The tower clock is wound on Fridays.", "Its bell weighs 740 kg."):
        slides.slides.add_slide(slides.slide_layouts[6]).shapes.add_textbox(*(Inches(1),) * 4).text_frame.text = text
    slides.save(file)
    return file.getvalue()


RULES = [f"Rule {n}: the gauge of pump {n ** 5 % 9973} is noted in book {n ** 7 % 9967}." for n in range(200)]
NS = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
ODT = zipped(**{"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": f"<office:document-content {NS}><office:body><office:text>"
                + "".join(f"<text:p>{rule}</text:p>" for rule in RULES) + "</office:text></office:body></office:document-content>"})
CHAPTER = "<html xmlns='http://www.w3.org/1999/xhtml'><body><h1>Pumps</h1>" + "".join(f"<p>{rule}</p>" for rule in RULES) + "</body></html>"
EPUB = zipped(**{"mimetype": "application/epub+zip", "META-INF/container.xml": "<container><rootfiles><rootfile full-path='p.opf'/></rootfiles></container>",
                 "p.opf": "<package><metadata/><manifest><item id='a' href='a.xhtml'/></manifest><spine><itemref idref='a'/></spine></package>", "a.xhtml": CHAPTER})


@pytest.mark.parametrize(("name", "data", "share", "said"), [
    ("a.docx", word(*RULES), .7, RULES[3]), ("a.xlsx", workbook(), .9, "Drawer: drawer 4"), ("a.pptx", deck(), .92, "The tower clock"),
    ("a.odt", ODT, .7, RULES[3]), ("a.epub", EPUB, .7, RULES[3])], ids=("docx", "xlsx", "pptx", "odt", "epub"))
def test_an_office_file_that_is_cut_off_is_read_as_far_as_it_goes(name: str, data: bytes, share: float, said: str):
    assert said in parse(data, name).text
    document = parse(data[:int(len(data) * share)], name)
    assert said in document.text and CUT in document.remarks


def damaged_after(data: bytes, entry: str, share: float) -> bytes:
    "An archive with a wrong byte in an entry."
    found = zipfile.ZipFile(BytesIO(data)).getinfo(entry)
    name, extra = struct.unpack_from("<HH", data, found.header_offset + 26)
    at = found.header_offset + 30 + name + extra + int(found.compress_size * share)
    return data[:at] + bytes([data[at] ^ 255]) + data[at + 1:]


def test_a_wrong_byte_in_a_part_costs_what_is_behind_it():
    document = parse(damaged_after(word(*RULES), "word/document.xml", .7), "a.docx")
    assert RULES[3] in document.text and document.remarks == "the part word/document.xml is damaged: what can be read of it is there"
    document = parse(damaged_after(workbook(), "xl/worksheets/sheet1.xml", .7), "a.xlsx")
    assert "Tool: Tool 9 | Drawer: drawer 9" in document.text and "sheet1.xml is damaged" in document.remarks
    archive = zipped(**{"a.txt": "\n".join(RULES), "b.txt": "The loft is dry."})
    document = parse(damaged_after(archive, "a.txt", .7), "a.zip")
    assert RULES[3] in document.text and "The loft is dry." in document.text and "a.txt is damaged" in document.remarks


def test_an_archive_that_is_cut_off_keeps_what_is_before_the_cut():
    archive = zipped(**{"a.txt": "The loft is dry.", "b.txt": "\n".join(RULES)})
    document = parse(archive[:len(archive) // 2], "a.zip")
    assert "The loft is dry." in document.text and RULES[0] in document.text and document.remarks == CUT
    with pytest.raises(DocumentError, match="damaged archive"):
        parse(archive[:20], "a.zip")


def test_a_cut_archive_unpacks_to_no_more_than_a_whole_one_may():
    bomb = zipped(**{"a.txt": bytes(50_000_000)})
    assert len(bomb) < 60_000 and opened_zip(bomb[:-30], 1_000_000).getinfo("a.txt").file_size == 1_000_000
    assert opened_zip(bomb[:-30]).getinfo("a.txt").file_size <= max(200 * len(bomb), 4_000_000)


def test_many_headers_of_one_name_unpack_once(monkeypatch: pytest.MonkeyPatch):
    calls, unpack = [], files.unpacked_part
    monkeypatch.setattr(files, "unpacked_part", lambda *given: calls.append(given) or unpack(*given))
    whole, count = zipped(note=b"Closed on Monday. " * 9), 500
    headers = b"".join(whole[:28] + struct.pack("<H", 34 * (count - 1 - n)) + b"note" for n in range(count))  # each has the one stream behind all of them
    with opened_zip(headers + whole[34:-30]) as archive:
        assert archive.read("note") == b"Closed on Monday. " * 9 and len(calls) == 1


def test_entries_without_a_size_in_front_of_them_and_protected_ones():
    class Stream(BytesIO):  # a writer that cannot go back writes the size behind the entry
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    file = Stream()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "One.")
        archive.writestr("b.txt", "Two.")
    cut = opened_zip(file.getvalue()[:-30])
    assert [cut.read(name) for name in cut.namelist()] == [b"One.", b"Two."]
    locked = bytearray(zipped(**{"a.txt": "One."}))
    locked[6] |= 1
    with pytest.raises(zipfile.BadZipFile):
        opened_zip(bytes(locked[:-30]))
    with pytest.raises(KeyError):
        read_entry(cut, "c.txt")


def test_links_of_simple_fields_and_art_of_words_in_word():
    text = parse(word('<w:fldSimple w:instr=" HYPERLINK &quot;mailto:dock@a.example&quot; "><w:r><w:t>the dock master</w:t></w:r></w:fldSimple><w:r><w:t> helps</w:t></w:r>',
                      '<w:r><w:pict><v:shape><v:textpath string="Closed until 6 June"/></v:shape></w:pict></w:r>'), "a.docx").text
    assert "the dock master (dock@a.example) helps" in text and "Closed until 6 June" in text


def test_the_address_that_a_shape_of_a_slide_opens():
    slides, file = Presentation(), BytesIO()
    box = slides.slides.add_slide(slides.slide_layouts[6]).shapes.add_textbox(*(Inches(1),) * 4)
    box.text_frame.text, box.click_action.hyperlink.address = "Form", "https://a.example/choir-5"
    slides.save(file)
    assert parse(file.getvalue(), "a.pptx").text.strip() == "Form (https://a.example/choir-5)"


def test_a_mail_that_calls_its_parts_a_text():
    mail = (b"Subject: Lift\nContent-Type: text/HTML;\n boundary=\"--N\"\n\nThis is a multipart message in MIME format.\n----N\nContent-Type: text/html; charset=iso-8859-1\n"
            b"Content-Transfer-Encoding: quoted-printable\n\n<p>Serviced on Friday=2C by R=F8de.</p>\n----N--\n")
    text = parse(mail, "a.eml").text
    assert "Serviced on Friday, by Røde." in text and "multipart" not in text


def signed(content: bytes) -> bytes:
    head = bytes.fromhex("308006092a864886f70d010702a080308002010130800609 2a864886f70d010701a080")
    return head + b"\x04\x82" + len(content).to_bytes(2) + content + bytes(8)


def test_what_is_packed_into_a_signature_is_read():
    mail = EmailMessage()
    mail["Subject"] = "Signed"
    mail.set_content(signed(b"Content-Type: text/plain\r\n\r\nThe key safe is behind panel 27.\r\n"), maintype="application", subtype="pkcs7-mime", filename="smime.p7m")
    assert "The key safe is behind panel 27." in parse(mail.as_bytes(), "a.eml").text
    letter = EmailMessage()
    letter.set_content("See the list.")
    letter.add_attachment(signed(b"Bin,Rack\nB4,19\nB5,23\n"), maintype="application", subtype="pkcs7-mime", filename="list.csv.p7m")
    letter.add_attachment(b"\x30\x03\x02\x01\x01", maintype="application", subtype="pkcs7-mime", filename="secret.p7m")
    document = parse(letter.as_bytes(), "a.eml")
    assert "Bin: B5 | Rack: 23" in document.text and "secret.p7m is not read: it is encrypted" in document.remarks


def test_a_form_that_is_filled_in_is_text_and_a_search_field_is_none():
    filled = parse(b"<form><label>Berth <input value='D-14'></label><label><input type=checkbox checked> insured</label><textarea>Arrives late</textarea></form>", "a.html").text
    assert "D-14" in filled and "Arrives late" in filled
    assert "Search" not in parse(b"<form>Search <input value='pumps'></form><p>The well is deep.</p>", "a.html").text


def test_what_stands_beside_or_below_a_page_is_text_unless_it_is_links_or_law():
    page = "<body><h1>Tents</h1><p>70 per night</p><aside>{}</aside><footer>{}</footer></body>".format
    text = parse(page("<p>Deposit: 150, back after return.</p>", "<p>Call 0800-77 to book.</p>").encode(), "a.html").text
    assert "Deposit: 150" in text and "0800-77" in text
    text = parse(page("<a href=/a>Other tents</a> <a href=/b>More offers of this week</a>", "<p>Copyright Tents Limited, all rights reserved.</p>").encode(), "a.html").text
    assert "offers" not in text and "Limited" not in text


def test_rich_text_of_a_mac_and_hyphens_that_do_not_break():
    text = parse(rb"{\rtf1\mac {\fonttbl\f0\fswiss Helvetica;}\f0 He said \'d2go\'d3 of part KX\_22.\par}", "a.rtf").text
    assert "“go” of part KX-22." in text
    assert "“Ó" in parse(rb"{\rtf1\ansi\macro \'93\'d3\par}", "a.rtf").text


def test_capitals_are_told_from_another_alphabet():
    order = "ПРИКАЗ НОМЕР 17: СКЛАД ЗАКРЫТ ДО 12 МАЯ, КЛЮЧ У СТОРОЖА."
    for encoding in ("cp1251", "koi8-r", "cp866"):
        assert decode(order.encode(encoding), "a.txt").text == order


def test_commas_in_numbers_are_no_delimiters():
    text = parse(b"Account\n\nDate;Text;Amount\n03.03.2025;Rent;-800,00\n05.03.2025;Salary;2.400,00\n\nBalance: 1.600,00 EUR\n", "a.csv").text
    assert "Text: Salary | Amount: 2.400,00" in text and "Balance: 1.600,00 EUR" in text


def test_sentences_that_count_are_no_running_lines():
    file = BytesIO()
    canvas = Canvas(file, pagesize=(420, 600), invariant=True)
    for number in range(1, 5):
        for at, line in enumerate((f"Sheet {number}", f"Burner {number} is lit by hand and watched by two people.", "It is never left alone.")):
            canvas.drawString(50, 560 - 14 * at, line)
        canvas.drawString(180, 30, f"Page {number} of 4")
        canvas.showPage()
    canvas.save()
    text = parse(file.getvalue(), "a.pdf").text
    assert all(f"Burner {number} is lit by hand" in text for number in range(1, 5)) and "Page 3" not in text
