"Files that no notebook should have to build: damaged, protected, scanned and turned PDFs."

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ragwb.documents.document import Document, DocumentError
from ragwb.documents.pdf import page_size, parse_pdf, rectangles, render_page


def pdf(*pages, **options) -> bytes:
    "A page of text lines each, from the top; None is a scanned page."
    file = BytesIO()
    canvas = Canvas(file, pagesize=(400, 300), invariant=True, **options)
    for lines in pages:
        if lines is None:
            canvas.drawImage(ImageReader(Image.new("L", (40, 30), 200)), 0, 0, 400, 300)
        else:
            for number, line in enumerate(lines):
                canvas.drawString(40, 250 - 14 * number, line)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def parsed(data: bytes) -> Document:
    return parse_pdf(data, "x.pdf", content_hash="0" * 64)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_file_without_its_catalogue_is_refused(share):
    data = pdf(["one"], ["two"], ["three"])
    with pytest.raises(DocumentError, match=r"x\.pdf: .*(end of the file is missing|not a PDF)"):
        parsed(data[: int(len(data) * share) - 8])


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4\n%%EOF", b"hello", b"%PDF-1.7\n" + bytes(2000) + b"\n%%EOF"])
def test_what_is_no_pdf_is_refused_with_a_hint(data):
    with pytest.raises(DocumentError) as error:
        parsed(data)
    assert error.value.hint


def test_damaged_bytes_raise_nothing_else():
    data = pdf(["the quick brown fox"], ["jumps over"])
    dice = random.Random(7)
    for _ in range(200):
        broken = bytearray(data)
        for _ in range(dice.randint(1, 60)):
            broken[dice.randrange(len(broken) - 8)] = dice.randrange(256)
        with suppress(DocumentError):
            parsed(bytes(broken))


def test_a_password_is_asked_to_be_removed():
    with pytest.raises(DocumentError, match="password") as error:
        parsed(pdf(["secret"], encrypt=StandardEncryption("open sesame", "owner")))
    assert error.value.hint == "remove the password first"


def test_a_file_that_only_forbids_printing_is_read():
    assert parsed(pdf(["open to read"], encrypt=StandardEncryption("", "owner", canPrint=0))).text == "open to read"


def test_a_scan_is_refused_and_ocr_named():
    with pytest.raises(DocumentError, match="no text on any of its 2 pages") as error:
        parsed(pdf(None, None))
    assert "ocrmypdf" in error.value.hint


def test_scanned_pages_among_others_are_counted_and_keep_their_number():
    document = parsed(pdf(["first page"], None, ["third page"]))
    assert document.metadata["pages without text"] == "1"
    assert [document.text[page.start : page.end] for page in document.pages] == ["first page", "", "third page"]
    assert document.page_at(document.text.index("third")).number == 3


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_page_reads_the_same_and_its_rectangles_lie_on_the_picture(turn):
    file = BytesIO()
    canvas = Canvas(file, pagesize=(400, 300))
    canvas.setPageRotation(turn)
    canvas.translate(*{90: (300, 0), 180: (400, 300), 270: (0, 400)}[turn])  # written so that it is upright when shown
    canvas.rotate(turn)
    for number, line in enumerate(["the first line is here", "the second is below it"]):
        canvas.drawString(30, 100 - 14 * number, line)
    canvas.save()
    data = file.getvalue()
    document = parsed(data)
    assert document.text == "the first line is here the second is below it"
    (place,) = rectangles(data, document, 0, 22)
    width, height = page_size(data, 1)
    ink = np.array(Image.open(BytesIO(render_page(data, 1, width=round(width)))).convert("L")) < 128
    inside = ink[int(height - place.top) : int(height - place.bottom) + 1, int(place.left) : int(place.right) + 1]
    assert 0.4 * ink.sum() < inside.sum() < 0.6 * ink.sum(), "one of two lines"
    assert place.right - place.left > 4 * (place.top - place.bottom)


def test_threads_may_share_the_reader():
    data = pdf(*[[f"page {number} of the file"] * 3 for number in range(20)])
    with ThreadPoolExecutor(8) as pool:
        texts = {document.text for document in pool.map(parsed, [data] * 24)}
    assert len(texts) == 1
