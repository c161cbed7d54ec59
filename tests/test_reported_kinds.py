"Kinds of files that public reports of other readers name: what stands in them is read, in the order and with the names that a person sees."

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable, Sequence

import numpy as np
import openpyxl
import pytest
from docx import Document as WordFile
from docx.oxml import parse_xml
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches
from reportlab.pdfgen.canvas import Canvas

from ragwb.documents.document import DocumentError
from ragwb.documents.encoding import decode
from ragwb.documents.parsing import parse
from ragwb.documents.pdf_letters import unstacked
from ragwb.documents.rtf import with_unicode

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def text_of(data: bytes | str, name: str) -> str:
    return parse(data.encode() if isinstance(data, str) else data, name).text


@pytest.mark.parametrize("name", ["a.csv", "a.html"])
def test_a_form_has_no_column_names(name: str) -> None:
    rows = [("Device", "Chlorine doser"), ("Installed", "2019-06-11"), ("Serviced by", "Tove Krag"), ("Room", "B-07")]
    data = "\n".join(map(";".join, rows)) if name == "a.csv" else "<table>" + "".join(f"<tr><td>{a}</td><td>{b}</td></tr>" for a, b in rows) + "</table>"
    assert text_of(data, name) == "\n".join(map(": ".join, rows))


def test_a_list_of_two_columns_keeps_its_names() -> None:
    "Mixed values alone make no form: names such as `Where` stand above them, and codes are no labels."
    assert text_of("Paper,Where\nVisa,desk 4\nPass,2025-03-01\nCard,Ole\nSeal,7\n", "a.csv").splitlines()[1] == "Paper: Pass | Where: 2025-03-01"
    assert text_of("Key,Room\nK1,shed\nK2,B-07\nK3,12\nK4,Ole\n", "a.csv").splitlines()[1] == "Key: K2 | Room: B-07"


def test_lines_in_quotation_marks_as_a_whole_are_rows() -> None:
    assert text_of('"Plant,Height"\n"Aster,60 cm"\n"Yarrow ""white"",80 cm"\n', "a.csv").splitlines()[-1] == 'Plant: Yarrow "white" | Height: 80 cm'
    assert text_of('"Plants"\n"Aster, tall"\n"Yarrow"\n', "a.csv") == "Plants\nAster, tall\nYarrow"  # one column


def test_arrays_in_json_are_the_rows_of_a_table() -> None:
    split = {"columns": ["part", "shelf"], "data": [["K6", "A1"], ["K7", "C3"]]}
    assert "part: K7 | shelf: C3" in text_of(json.dumps(split), "a.json").splitlines()
    assert text_of(json.dumps([["part", "price"], ["K6", 4], ["K7", 9]]), "a.json").splitlines() == ["part: K6 | price: 4", "part: K7 | price: 9"]


def test_an_initial_over_several_lines_belongs_to_its_word() -> None:
    file, out = WordFile(), io.BytesIO()
    for drawn in (f'<w:p {W}><w:pPr><w:framePr w:dropCap="drop" w:lines="3"/></w:pPr><w:r><w:t>T</w:t></w:r></w:p>', f"<w:p {W}><w:r><w:t>he ferry leaves.</w:t></w:r></w:p>",
                  f'<w:p {W}><w:pPr><w:framePr w:dropCap="margin"/></w:pPr><w:r><w:t>Z</w:t></w:r></w:p>'):
        file.element.body.insert(-1, parse_xml(drawn))
    file.save(out)
    assert text_of(out.getvalue(), "a.docx") == "The ferry leaves.\n\nZ"


def test_the_title_of_an_axis_says_what_is_measured() -> None:
    file, out, data = Presentation(), io.BytesIO(), CategoryChartData()
    data.categories = ["Cod"]
    data.add_series("2024", (310,))
    chart = file.slides.add_slide(file.slide_layouts[6]).shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(1), Inches(4), Inches(3), data).chart
    chart.value_axis.has_title = True
    chart.value_axis.axis_title.text_frame.text = "tonnes per month"
    file.save(out)
    assert "Value axis: tonnes per month." in text_of(out.getvalue(), "a.pptx").splitlines()


def test_words_of_an_object_that_is_not_shown() -> None:
    assert text_of('<h1>Museum</h1><object data="m.svg"><p>Hall 3 holds the globes.</p></object>', "a.html") == "Museum\n\nHall 3 holds the globes."


def test_a_note_of_a_book_that_opens_over_the_page_is_read() -> None:
    chapter = '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body><p>It flowers in May.</p>{}</body></html>'.format(
        '<aside epub:type="footnote" hidden="hidden"><p>On Gotland later.</p></aside><p hidden="hidden">unseen</p>')
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container><rootfiles><rootfile full-path='p.opf'/></rootfiles></container>")
        archive.writestr("p.opf", "<package><manifest><item id='a' href='a.xhtml'/></manifest><spine><itemref idref='a'/></spine></package>")
        archive.writestr("a.xhtml", chapter)
    assert text_of(file.getvalue(), "a.epub") == "It flowers in May.\n\nOn Gotland later."


def test_words_that_rtf_has_in_two_forms_are_read_once() -> None:
    assert text_of(r"{\rtf1\ansi {\upr{Kraftwerk ?ukow}{\*\ud{Kraftwerk {\u379\'3f}ukow}}} and {\upr {?}{\*\ud{\u321\'3f}}}\par}", "a.rtf") == "Kraftwerk Żukow and Ł"


def test_a_web_archive_may_be_called_doc_with_any_header_first() -> None:
    "As Confluence exports a page."
    data = "Date: Tue, 2 Jun 2026\nX-A: b\n c\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>Wait 12 minutes.</p>\n--b--\n"
    assert text_of(data, "a.doc") == "Wait 12 minutes."
    with pytest.raises(DocumentError, match="its content is not"):
        parse(b"Date: Tue, 2 Jun 2026\n\nMIME-Version: 1.0\n", "a.doc")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_may_have_no_zeros(encoding: str) -> None:
    text = "仓库的门每天早上七点打开，晚上九点关闭。\r\n"
    found = decode(text.encode(encoding), "a.txt")
    assert (found.text, found.encoding) == (text, encoding)
    assert "a guess" in found.remark
    with pytest.raises(DocumentError, match="binary"):
        decode(bytes(range(1, 201)), "a.txt")


@pytest.mark.parametrize("left", [True, False])
def test_a_note_in_the_margin_does_not_cut_sentences(left: bool) -> None:
    body = ["The dam is inspected twice a year by the", "county engineer, who walks the whole crest", "and measures the seepage at six weirs. After",
            "a flood this is repeated within ten days."]
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(420, 600), invariant=True)
    note = ["See also form", "D-12 for the", "seepage log."]
    for x, lines, size, top, step in ((150 if left else 50, body, 10, 540, 14), (50 if left else 280, note, 7, 526, 10)):
        canvas.setFont("Helvetica", size)
        for at, line in enumerate(lines):
            canvas.drawString(x, top - step * at, line)
    canvas.save()
    assert text_of(file.getvalue(), "a.pdf").split("\n\n") == [" ".join(body), "See also form D-12 for the seepage log."]


def test_a_macro_in_a_condition_does_not_swallow_the_manual() -> None:
    "As Asciidoctor writes all its pages."
    page = '.TH "CHRT" "1"\n.de URL\n\\fI\\\\$2\\fP\n..\n.if \\n[.g] \\{\\\n.  am URL\n.    ad l\n.  .\n.\\}\n.SH "NAME"\nchrt sets attributes\n'
    assert text_of(page, "chrt.1") == "NAME\n\nchrt sets attributes"


def test_words_in_two_forms_that_never_end_are_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def unclosed(data: bytes, at: int) -> int:
        looked.append(at)
        return len(data)

    monkeypatch.setattr("ragwb.documents.rtf.group_end", unclosed)
    with_unicode(b"{\\upr " * 50)
    assert looked == [0]


def pdf_of(*pages: list[tuple[int, str]]) -> bytes:
    "A PDF with lines of text at some heights."
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(595, 842), invariant=True)
    for page in pages:
        for height, line in page:
            canvas.drawString(72, height, line)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def test_a_sentence_at_the_edge_of_a_page_is_no_footer() -> None:
    tops = ["Drying of grain", "the card is kept in a box.", "the card goes to Velm."]
    pages = [[(780, top), (600, f"Part {at + 4} is elsewhere."), (60, f"The miller notes the humidity of the lot on card M{at}, and")] for at, top in enumerate(tops, 1)]
    said = text_of(pdf_of(*pages), "a.pdf")
    assert "on card M1, and the card is kept in a box." in said and "on card M2, and the card goes to Velm." in said


def test_pages_of_nothing_but_a_number_are_not_refused() -> None:
    assert text_of(pdf_of([(800, "1")], [(800, "2")]), "a.pdf") == "1\n\n2"


@pytest.mark.parametrize(("head", "tail", "whole"), [
    ("The well-", "known card", "well-known"), ("The informa-", "tion board", "information"), ("An X-", "ray of a hull", "X-ray"), ("The self-", "adhesive tag", "self-adhesive"),
])  # fmt: skip
def test_a_hyphen_at_a_lines_end_is_the_words_own_or_the_typesetters(head: str, tail: str, whole: str) -> None:
    assert whole in text_of(pdf_of([(700, f"In the store of the mill lie papers. {head}"), (686, f"{tail} hangs.")]), "a.pdf")
    assert ("X-" in head) or whole in text_of(f"In the store lie the papers. {head}\n{tail} hangs there.\n", "a.txt")


def test_subtitles_are_sentences() -> None:
    said = "1\n00:00:01,000 --> 00:00:03,000\n<i>The varnish dries</i> for\n\n2\n00:00:03,100 --> 00:00:05,000\nnine days &amp; nights.\n"
    assert text_of(said, "a.srt") == "The varnish dries for nine days & nights."
    assert text_of("WEBVTT\n\n00:01.000 --> 00:03.000\n<v Kaja>Welcome.\n", "a.vtt") == "Kaja: Welcome."


def test_html_in_markdown_is_read_as_it_is_shown() -> None:
    text = "<h2>Yard</h2>\n<!-- draft -->\n<div>\n\n**Bell:** door&nbsp;9<br>Fish &amp; chips\n</div>\n\n`List<b>` and <your name>\n"
    document = parse(text.encode(), "a.md")
    shown = [line.replace("\u00a0", " ") for line in document.text.splitlines() if line]
    assert shown == ["## Yard", "**Bell:** door 9", "Fish & chips", "`List<b>` and <your name>"]
    assert [heading.title for heading in document.headings] == ["Yard"]


def test_lines_with_tabs_in_word_are_a_table() -> None:
    file, out = WordFile(), io.BytesIO()
    for line in ("Key\tOpens\tHeld by", "S1\tgate\tLund", "S2\tstore\t\tBehrens", "Rent:\t640"):
        file.add_paragraph(line)
    file.save(out)
    assert text_of(out.getvalue(), "a.docx").splitlines() == ["Key: S1 | Opens: gate | Held by: Lund", "Key: S2 | Opens: store | Held by: Behrens", "", "Rent: 640"]


@pytest.mark.parametrize("marked", [0, 1])
def test_names_over_several_columns_have_names_below_them(marked: int) -> None:
    file, out = WordFile(), io.BytesIO()
    table = file.add_table(4, 3)
    for at, text in enumerate(("Gate", "2025", "", "", "low", "high", "North", "4", "5", "South", "8", "9")):
        table.cell(at // 3, at % 3).text = text
    table.cell(0, 0).merge(table.cell(1, 0))
    table.cell(0, 1).merge(table.cell(0, 2))
    if marked:
        table.rows[0]._tr.get_or_add_trPr().append(parse_xml(f"<w:tblHeader {W}/>"))
    file.save(out)
    assert "Gate: South | 2025 low: 8 | 2025 high: 9" in text_of(out.getvalue(), "a.docx").splitlines()


def test_an_empty_text_is_a_result_and_no_formula() -> None:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in (["Valve", "Remark", "Sum"], ["V-11", '=IF(A2="x","late","")', "=1+1"]):
        book.active.append(row)
    book.save(out)
    mended = io.BytesIO()
    with zipfile.ZipFile(out) as old, zipfile.ZipFile(mended, "w") as new:
        for name in old.namelist():
            new.writestr(name, re.sub(rb'<c r="B2"[^>]*>', b'<c r="B2" t="str">', old.read(name)))
    document = parse(mended.getvalue(), "a.xlsx")
    assert document.text.splitlines()[-1] == "Valve: V-11 | Sum: =1+1" and "read as the formula" in document.metadata["remarks on reading"]


def test_a_link_of_rtf_needs_no_quotation_marks() -> None:
    assert "the site (https://a.example/x)" in text_of(r"{\rtf1 {\field{\*\fldinst{HYPERLINK https://a.example/x}}{\fldrslt{the site}}}\par}", "a.rtf")


def test_a_form_may_have_two_labels_in_a_row() -> None:
    rows = [("Name", "Alma", "Flag", "Norway"), ("Built", "1997", "Draught", "4.3 m"), ("Owner", "Fjord Lines", "Class", "1A1")]
    lines = [f"{label}: {value}" for row in rows for label, value in (row[:2], row[2:])]
    for tags in ("dddd", "hdhd"):
        table = "".join("<tr>" + "".join(f"<t{tag}>{cell}</t{tag}>" for tag, cell in zip(tags, row, strict=True)) + "</tr>" for row in rows)
        assert text_of(f"<table>{table}</table>", "a.html").splitlines() == lines
    assert text_of("\n".join(map(";".join, rows)), "a.csv").splitlines() == lines


def test_the_foot_of_a_table_is_its_last_row_wherever_it_is_written() -> None:
    rows = "<tfoot><tr><td>Mean</td><td>6</td></tr></tfoot><tr><th>Basin</th><th>Depth</th></tr><tr><td>West</td><td>4</td></tr>"
    assert text_of(f"<table>{rows}</table>", "a.html").splitlines() == ["Basin: West | Depth: 4", "Basin: Mean | Depth: 6"]


def test_a_message_within_a_message_may_be_packed_against_the_rules() -> None:
    inner = base64.encodebytes(b"Subject: Permit 88\n\nIt holds until 12 August.\n").decode()
    packed = f"Subject: a\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{inner}\n--b--\n"
    assert text_of(packed, "a.eml").endswith("Forwarded message: Permit 88\n\nSubject: Permit 88\n\nIt holds until 12 August.")


def test_mail_may_have_letters_of_seven_bits() -> None:
    assert text_of("Subject: a\nContent-Type: text/plain; charset=utf-7\n\nFrau K+APY-hn\n", "a.eml").endswith("Frau Köhn")


def test_backslashes_before_quotation_marks() -> None:
    assert text_of('id,said,at\n1,"the \\"red\\" buoy, old",Sund\n2,"a, b",Vik\n', "a.csv").splitlines()[0] == 'id: 1 | said: the "red" buoy, old | at: Sund'
    assert text_of('id,folder,at\n1,"C:\\data\\",Sund\n2,"D:\\x\\",Vik\n', "a.csv").splitlines()[0] == "id: 1 | folder: C:\\data\\ | at: Sund"


def test_letters_that_were_encoded_twice() -> None:
    document = parse("Der Schlüssel für die Küche.".encode().decode("cp1252").encode(), "a.txt")
    assert (document.text.strip(), document.metadata["remarks on reading"]) == ("Der Schlüssel für die Küche.", "its letters were encoded twice, and are mended")


def drawn(draw: Callable[[Canvas], None]) -> str:
    "The text of a page that is drawn."
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(595, 842), invariant=True)
    canvas.setFont("Helvetica", 11)
    draw(canvas)
    canvas.save()
    return text_of(out.getvalue(), "a.pdf")


BODY = ["The harbour master keeps the log of all arrivals and checks it", "against the tide table before noon on each working day of the",
        "month; errors are reported to the board within two days."]


def lines_at(canvas: Canvas, x: float, y: float, said: Sequence[str]) -> None:
    for at, line in enumerate(said):
        canvas.drawString(x, y - 14 * at, line)


def test_a_stamp_that_lies_askew_is_apart_from_the_text() -> None:
    def draw(canvas: Canvas) -> None:
        lines_at(canvas, 72, 720, BODY)
        canvas.setFont("Helvetica-Bold", 60)
        canvas.translate(120, 600)
        canvas.rotate(45)
        canvas.drawString(0, 0, "DRAFT COPY")

    assert drawn(draw) == f"{' '.join(BODY)}\n\nDRAFT COPY"


def test_an_initial_on_a_page_belongs_to_its_word() -> None:
    def first(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 33)
        canvas.drawString(72, 690, "T")
        canvas.setFont("Helvetica", 11)
        lines_at(canvas, 94, 706, ["he keeper of the light lives on the", "island from April on."])

    assert drawn(first) == "The keeper of the light lives on the island from April on."


def test_a_table_between_columns_keeps_its_rows_and_they_their_order() -> None:
    left = ["Swimming is allowed from", "the east steps between May", "and late September. Dogs", "must stay on the lawn."]
    right = ["Boats are hired at the hut.", "A deposit of nine marks is", "taken for each boat, and", "given back with the oars."]

    def draw(canvas: Canvas) -> None:
        lines_at(canvas, 60, 760, left)
        lines_at(canvas, 320, 760, right)
        for at, row in enumerate((("Boat", "Seats", "Hire"), ("Skiff", "2", "4 marks"), ("Gig", "6", "9 marks"))):
            for x, cell in zip((60, 220, 380), row, strict=True):
                canvas.drawString(x, 660 - 16 * at, cell)

    said = drawn(draw).split("\n\n")
    assert said[:2] == [" ".join(left), " ".join(right)] and said[2].splitlines()[-1] == "Boat: Gig | Seats: 6 | Hire: 9 marks"


def test_a_footnote_waits_for_the_end_of_its_sentence() -> None:
    def draw(canvas: Canvas) -> None:
        lines_at(canvas, 72, 720, BODY[:2])
        canvas.setFont("Helvetica", 8)
        canvas.drawString(72, 80, "1 Sixteen tons for carts with rubber tyres.")
        canvas.showPage()
        canvas.setFont("Helvetica", 11)
        canvas.drawString(72, 760, BODY[2])

    assert drawn(draw) == f"{' '.join(BODY)}\n\n1 Sixteen tons for carts with rubber tyres."


def test_letters_of_a_ligature_stay_together() -> None:
    box = np.array([[0, 0, 6, 10], [6, 0, 18, 10], [6, 0, 18, 10], [6, 0, 18, 10], [18, 0, 24, 10]], np.float32)
    unstacked(box, np.arange(5))
    assert box[:, 0].tolist() == [0, 6, 10, 14, 18] and box[:, 2].tolist() == [6, 10, 14, 18, 24]


def test_a_label_with_a_colon_stands_before_its_value() -> None:
    def draw(canvas: Canvas) -> None:
        for at, (label, value) in enumerate((("Name of the vessel:", "Gudrun"), ("Call sign:", "LKZ4"), ("Master:", "Captain Amundsen"))):
            canvas.drawString(200, 720 - 18 * at, label)
            canvas.drawString(360, 720 - 18 * at, value)

    assert drawn(draw).splitlines() == ["Name of the vessel: Gudrun", "Call sign: LKZ4", "Master: Captain Amundsen"]
