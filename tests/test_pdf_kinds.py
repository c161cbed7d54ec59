"What a PDF says besides the lines of its pages, and lines that do not run from left to right."

from io import BytesIO
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from ragwb.documents.document import Document, DocumentError
from ragwb.documents.language import ITEM
from ragwb.documents.pdf import parse_pdf, rectangles


def drawn(*pages, size=(400, 300)) -> bytes:
    "A page for each function that draws on a canvas."
    file = BytesIO()
    canvas = Canvas(file, pagesize=size, invariant=True)
    for page in pages:
        page(canvas)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def lines(*texts, top=250, left=40, step=14):
    def draw(canvas):
        for number, text in enumerate(texts):
            canvas.drawString(left, top - step * number, text)
    return draw


def parsed(data: bytes) -> Document:
    return parse_pdf(data, "x.pdf", content_hash="0" * 64)


def remarks(document: Document) -> str:
    return document.metadata.get("remarks on reading", "")


def test_values_of_a_form_stand_beside_their_labels():
    def form(canvas):
        lines("Boat:", "Crew:", "Diesel")(canvas)
        canvas.acroForm.textfield(name="f1", tooltip="Name of the boat", value="Grey Gull", x=90, y=245, width=120, height=14, fontSize=10)
        canvas.acroForm.choice(name="f2", tooltip="Crew", value="six", options=["four", "six"], x=90, y=230, width=120, height=14, fontSize=10)
        canvas.acroForm.checkbox(name="f3", tooltip="Diesel engine", checked=True, x=90, y=218, size=10)
        canvas.acroForm.checkbox(name="f4", tooltip="Sails", checked=False, x=90, y=200, size=10)
    document = parsed(drawn(form))
    assert "Boat: | Grey Gull" in document.text.replace("Boat: Grey", "Boat: | Grey")
    assert "six" in document.text and "Diesel engine: ticked" in document.text and "Sails" not in document.text
    at = document.text.index("Grey Gull")
    (place,) = rectangles(drawn(form), document, at, at + 9)
    assert 85 < place.left < 110 and 240 < place.bottom < 262  # on the page, where the field is


def with_annotation(data: bytes, subtype: str, contents: str) -> bytes:
    pdf = pdfium.PdfDocument(data)
    page = pdf[0]
    raw = pdfium.raw
    note = raw.FPDFPage_CreateAnnot(page, getattr(raw, f"FPDF_ANNOT_{subtype}"))
    for key, value in ((b"Contents", contents), (b"T", "Ines")):
        text = (value + "\0").encode("utf-16-le")
        raw.FPDFAnnot_SetStringValue(note, key, (raw.FPDF_WCHAR * (len(text) // 2)).from_buffer_copy(text))
    raw.FPDFPage_CloseAnnot(note)
    file = BytesIO()
    pdf.save(file)
    return file.getvalue()


@pytest.mark.parametrize("subtype", ["TEXT", "HIGHLIGHT", "SQUARE"])
def test_a_note_is_read_with_its_author(subtype):
    document = parsed(with_annotation(drawn(lines("The valve opens at 6 bar.")), subtype, "It is 7 bar since May."))
    assert "Note by Ines: It is 7 bar since May." in document.text
    assert "Note" not in parsed(with_annotation(drawn(lines("The valve opens at 6 bar.")), subtype, "the valve opens at 6 bar")).text  # the page says it


def test_a_note_follows_the_sentence_that_goes_on_over_the_page():
    data = with_annotation(drawn(lines("The lock is opened by the", "keeper when the water of the"), lines("upper pool is high.")), "TEXT", "Ask Ruth.")
    document = parsed(data)
    assert "the water of the upper pool is high." in document.text
    assert document.text.endswith("- Note by Ines: Ask Ruth.")


def test_the_address_behind_a_link_is_read():
    def page(canvas):
        lines("The tariff is here", "www.example.org/plain")(canvas)
        canvas.linkURL("https://example.org/tariff", (40, 246, 140, 262))
        canvas.linkURL("https://www.example.org/plain", (40, 232, 140, 246))
    text = parsed(drawn(page)).text
    assert "The tariff is here: https://example.org/tariff" in text and text.count("example.org/plain") == 1


def test_many_links_are_left_out_and_counted():
    def page(canvas):
        for number in range(30):
            canvas.drawString(40, 280 - 9 * number, f"place {number}")
            canvas.linkURL(f"https://example.org/{number}/of", (40, 278 - 9 * number, 90, 287 - 9 * number))
    document = parsed(drawn(page))
    assert "https" not in document.text and remarks(document) == "the targets of 30 links were left out"


def with_attached(data: bytes, **files: bytes) -> bytes:
    pdf = pdfium.PdfDocument(data)
    for name, content in files.items():
        pdf.new_attachment(name.replace("_", ".")).set_data(content)
    file = BytesIO()
    pdf.save(file)
    return file.getvalue()


def test_attached_files_are_read_below_their_names():
    inner = with_attached(drawn(lines("The inner page.")), deep_txt=b"Deep down.")
    document = parsed(with_attached(drawn(lines("Cover.")), plan_md=b"# Roof\n\nRenewed in May.", inner_pdf=inner, photo_jpg=b"\xff\xd8\xff\xe0 0000"))
    assert "Attached file: plan.md\n\n" in document.text and "Renewed in May." in document.text
    assert "The inner page." in document.text and "Deep down." in document.text
    assert all(document.text[h.start:].lstrip("# ").startswith(h.title) for h in document.headings)
    assert "the attached file photo.jpg was not read" in remarks(document)


def test_attached_files_are_not_read_for_ever():
    data = drawn(lines("The last page."))
    for _ in range(5):
        data = with_attached(drawn(lines("A cover.")), next_pdf=data)
    text = parsed(data).text
    assert text.count("A cover.") == 3 and "The last page." not in text


def test_a_damaged_page_is_left_out_and_said():
    data = drawn(lines("Page one."), lines("Page two."), lines("Page three."))
    broken = data.replace(b"/Type /Page\n", b"/Type /Pagx\n", 2).replace(b"/Type /Pagx\n", b"/Type /Page\n", 1)
    assert broken != data
    document = parsed(broken)
    assert "Page one." in document.text and "Page three." in document.text
    assert remarks(document) == ("page 2 is damaged and was left out" if "Page two." not in document.text else "")


@pytest.mark.parametrize("change", [
    lambda data: data.rstrip()[:-1], lambda data: data.rstrip()[:-4], lambda data: data.rstrip()[:-5], lambda data: data.rstrip() + b"\0" * 9000,
    lambda data: b"HTTP/1.1 200 OK\r\n\r\n" + data, lambda data: data.replace(b"startxref\n", b"startxref\n9"), lambda data: data.replace(b"%%EOF", b""),
])  # fmt: skip
def test_an_end_that_viewers_mend_is_mended(change):
    assert parsed(change(drawn(lines("Keys are in house 12.")))).text == "Keys are in house 12."


def test_a_file_cut_in_its_trailer_is_mended():
    data = drawn(lines("The ladder is kept in shed 15."))
    for cut in (data.rindex(b"trailer") + 20, data.rindex(b"startxref"), data.rindex(b"endobj") + 6):
        assert "shed 15" in parsed(data[:cut]).text


def test_what_follows_the_end_or_is_missing_is_said():
    data = drawn(lines("Keys are in house 12."))
    assert remarks(parsed(data + b"<!-- served in 3 ms -->" * 300)) == "something else follows the end of the file"
    cut = data[:data.rindex(b"xref\n0 ")]
    assert parsed(cut).text == "Keys are in house 12." and "pages may be missing" in remarks(parsed(cut))
    assert not remarks(parsed(data))


def test_running_lines_are_kept_once():
    def page(number):
        body = f"Rule {'abcd'[number - 1]} is about the {'pump lock roof door'.split()[number - 1]}."
        return lines("Work rule WR-55, issue 3", f"Page {number} of 4", body, top=270, step=30)
    document = parsed(drawn(*map(page, range(1, 5))))
    assert document.text.count("WR-55, issue 3") == 1 and "Page 2" not in document.text
    assert document.metadata["running lines left out"] == "7"
    line = document.text[:document.text.index("\n")]
    assert ITEM.match(line)  # may be quoted as an answer


def test_a_running_line_does_not_part_a_sentence():
    def page(text, number):
        return lines("Lock rules of 2025", *text, f"- {number} -", top=270, step=14)
    sheets = (page(["The lock is opened by the", "keeper when the water of the"], 1),
              page(["upper pool is high and the", "gate of the lower pool is"], 2), page(["closed."], 3))
    document = parsed(drawn(*sheets))
    assert "of the upper pool is high and the gate of the lower pool is closed." in document.text


def test_names_of_columns_are_in_each_row_of_a_table_that_repeats_its_head():
    def page(first):
        def draw(canvas):
            for number in range(15):
                cells = ("Part", "Place", "Stock") if not number else (f"K-{first + number}", f"R{first + number}", str(10 + (first + number) % 7))
                for column, cell in enumerate(cells):
                    canvas.drawString(40 + 110 * column, 270 - 14 * number, cell)
        return draw
    document = parsed(drawn(page(0), page(14), page(28)))
    assert "Part: K-31 | Place: R31 | Stock: 13" in document.text and "Part: K-1 | Place: R1 | Stock: 11" in document.text
    at = document.text.index("Part: K-31 | Place: R31")
    assert document.page_at(at).number == 3
    assert len(rectangles(drawn(page(0), page(14), page(28)), document, at, at + 23)) == 2


@pytest.mark.parametrize("rest", [["are kept on a lead."], ["are kept on a lead and", "know no other dog."]])
def test_short_columns_are_read_one_after_the_other(rest):
    def page(canvas):
        lines("Dogs are welcome in the", "gardens as long as they", *rest)(canvas)
        lines("Bicycles may be left at", "the stand behind the", "old orangery.", left=220)(canvas)
    text = parsed(drawn(page)).text
    assert "gardens as long as they are kept on a lead" in text and "left at the stand behind the old orangery." in text


def test_short_columns_that_the_file_has_line_by_line_are_read_one_after_the_other():
    left = ["Ferries leave pier one", "each hour from six in the", "morning until ten at night", "and on Sundays from eight."]
    right = ["Bicycles are carried free", "of charge if there is room", "on the lower deck; larger", "groups have to book."]
    text = parsed(drawn(cells(*zip(left, right, strict=True), places=(40, 230)))).text
    assert "in the morning until ten" in text and "if there is room on the lower deck" in text


def test_lines_of_japanese_that_are_set_far_apart_are_one_paragraph():
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiKakuGo-W5"))
    def page(canvas):
        canvas.setFont("HeiseiKakuGo-W5", 12)
        for number, text in enumerate(["料金", "図書館の利用は無料で、貸出の期間", "は二週間です。延長は窓口で受け付け", "ます。"]):
            canvas.drawString(40, 250 - 22 * number, text)
    assert "貸出の期間は二週間です。延長は窓口で受け付けます。" in parsed(drawn(page)).text and "料金\n" in parsed(drawn(page)).text


def test_three_short_columns_are_read_one_after_the_other():
    def page(canvas):
        lines("Guests park on the", "gravel yard by the", "old barn.", left=30)(canvas)
        lines("Cats stay here; dogs", "sleep in the kennel", "by the gate.", left=160)(canvas)
        lines("After ten the terrace", "is closed and all is", "quiet.", left=310)(canvas)
    text = parsed(drawn(page)).text
    assert "park on the gravel yard by the old barn." in text and "dogs sleep in the kennel by the gate." in text and "terrace is closed and all is quiet." in text


def cells(*rows, bold=False, places=(40, 150, 260, 320, 370)):
    def draw(canvas):
        for number, row in enumerate(rows):
            canvas.setFont("Helvetica-Bold" if bold and not number else "Helvetica", 12)
            for left, text in zip(places, row, strict=False):
                canvas.drawString(left, 250 - 14 * number, text)
    return draw


def test_a_small_table_has_the_names_of_its_columns_in_each_row():
    text = parsed(drawn(cells(("Tool", "Owner", "Bay"), ("Saw", "Finn", "B1"), ("Drill", "Gro", "B7")))).text
    assert "Tool: Drill | Owner: Gro | Bay: B7" in text
    assert "Tool: Drill | Owner: Gro" in parsed(drawn(cells(("Tool", "Owner"), ("Saw", "Finn"), ("Drill", "Gro"), bold=True))).text
    upper = cells(("", "2024", "", "2025"), ("Mill", "Q1", "Q2", "Q1", "Q2"), ("North", "11", "12", "13", "14"), ("South", "21", "22", "23", "24"), places=(40, 100, 150, 200, 250))
    assert "Mill: South | 2024 Q1: 21 | 2024 Q2: 22 | 2025 Q1: 23" in parsed(drawn(upper)).text


def test_a_form_and_a_statement_of_accounts_stay_as_they_are_printed():
    assert "Berth | Jetty 9" in parsed(drawn(cells(("Name", "Ilse Brand"), ("Berth", "Jetty 9"), ("Length", "11 m")))).text
    text = parsed(drawn(cells(("In millions", "June 2024", "June 2023"), ("Sales", "11", "12"), ("Costs", "9", "8")))).text
    assert "Costs | 9 | 8" in text


def test_a_table_keeps_the_names_of_its_columns_on_later_pages():
    rows = [(f"K-{number}", f"R{number}", str(10 + number)) for number in range(40)]
    pages = [cells(("Part", "Place", "Stock"), *rows[:15]), cells(*rows[15:30]), lambda canvas: (cells(*rows[30:])(canvas), lines("Ask the steward.", top=60)(canvas))]
    assert "Part: K-35 | Place: R35 | Stock: 45" in parsed(drawn(*pages)).text
    other = cells(("Ilse", "Brandvold"), ("Finn", "Holm"), places=(90, 330))
    assert "Finn | Holm" in parsed(drawn(pages[0], other)).text


def test_a_small_table_is_not_read_as_columns():
    def page(canvas):
        for number, (name, value) in enumerate([("Depth of the well", "forty metres"), ("Owner of the well", "the parish"), ("Water of the well", "clear and cold")]):
            canvas.drawString(40, 250 - 14 * number, name)
            canvas.drawString(220, 250 - 14 * number, value)
    assert "Owner of the well | the parish" in parsed(drawn(page)).text


def test_vertical_lines_are_read_from_the_right():
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3", isVertical=True))
    def page(canvas):
        canvas.setFont("HeiseiMin-W3", 12)
        for number, text in enumerate(["倉庫は八時に開きます。", "鍵は守衛が持って", "います。", "荷物は左側に置きます"]):  # without a full stop a line has no breadth
            canvas.drawString(340 - 24 * number, 280, text)
    document = parsed(drawn(page))
    assert document.text.replace("\n\n", "") == "倉庫は八時に開きます。鍵は守衛が持っています。荷物は左側に置きます"
    at = document.text.index("荷物")
    assert 240 < rectangles(drawn(page), document, at, at + 4)[0].left < 275


@pytest.mark.parametrize("matrix", [(1, 0, 0, 1, 0, 0), (-1, 0, 0, -1, 400, 300)])
def test_a_negative_font_size_reads_forwards(matrix):
    def page(canvas):
        canvas.transform(*matrix)
        canvas.setFont("Helvetica", 12)
        for number, text in enumerate(["Rules of the quarry", "Blasting starts at noon."]):
            canvas.saveState()
            canvas._code.append(f"BT 1 0 0 1 {300} {100 + 20 * number} Tm /F1 -12 Tf ({text}) Tj ET")
            canvas.restoreState()
    text = parsed(drawn(page)).text
    assert "Blasting starts at noon." in text and "Rules of the quarry" in text


def test_a_file_that_is_no_pdf_is_refused():
    with pytest.raises(DocumentError, match="not a PDF"):
        parsed(b"hello %%EOF")


FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"


@pytest.mark.skipif(not Path(FONT).exists(), reason="no font with Hebrew letters")
@pytest.mark.parametrize("logical", ["הספרייה פתוחה בערב", "טלפון 418 בערב", "הדגם Vario במלאי"])
def test_hebrew_reads_from_the_right_and_its_numbers_from_the_left(logical):
    pdfmetrics.registerFont(TTFont("DejaVu", FONT))
    words = logical.split()
    def page(canvas):
        canvas.setFont("DejaVu", 12)
        for number in range(2):
            canvas.drawRightString(360, 250 - 20 * number, " ".join(word if word.isascii() else word[::-1] for word in words[::-1]))
    assert parsed(drawn(page)).text.replace("\n\n", " ") == f"{logical} {logical}"
