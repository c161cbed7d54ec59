"Kinds of files that are packed, written in light markup, or mixed: what a page of their own does not show."

import gzip
import io
import zipfile
from binascii import b2a_uu
from email.message import EmailMessage

import numpy as np
import pytest
from reportlab.pdfgen.canvas import Canvas

from ragwb.documents.document import DocumentError
from ragwb.documents.files import detect_format
from ragwb.documents.html import parse_html
from ragwb.documents.parsing import parse
from ragwb.documents.pdf_letters import along


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_archives_in_archives_and_packed_files_that_came_with_a_mail() -> None:
    mail = EmailMessage()
    mail["Subject"] = "Papers"
    mail.set_content("See below.")
    mail.add_attachment(zipped({"deep.zip": zipped({"shift.txt": b"The night shift starts at 22:40."})}), maintype="application", subtype="zip", filename="papers.zip")
    mail.add_attachment(gzip.compress(b"The spare pump is in bay 14."), maintype="application", subtype="gzip", filename="pump.txt.gz")
    read = parse(mail.as_bytes(), "a.eml")
    assert "night shift starts at 22:40" in read.text and "spare pump is in bay 14" in read.text and not read.remarks


def test_archives_have_a_depth_and_a_size() -> None:
    deep = b"The lamp is green."
    for name in ("a.txt", "1.zip", "2.zip", "3.zip", "4.zip"):
        deep = zipped({name: deep})
    with pytest.raises(DocumentError, match="nested too deeply"):
        parse(deep, "deep.zip")
    with pytest.raises(DocumentError, match="are allowed"):
        parse(zipped({"zeros.txt": bytes(30_000_000)}), "bomb.zip")
    with pytest.raises(DocumentError, match="unpacks to more than"):
        parse(gzip.compress(bytes(30_000_000)), "bomb.txt.gz")


def test_a_file_that_is_written_into_the_text_of_a_mail() -> None:
    mail = b"Subject: Keys\nContent-Type: text/plain\n\nThe list follows.\n\nbegin 644 keys.txt\n" + b2a_uu(b"Locker 58 opens with code plum.") + b"`\nend\n"
    assert parse(mail, "a.eml").text == "Subject: Keys\n\nThe list follows.\n\nAttachment: keys.txt\n\nLocker 58 opens with code plum."


@pytest.mark.parametrize(("name", "data", "kind"), [
    ("a.docx", b"<html><body><p>The mast is 19 m high.</p></body></html>", "html"), ("a.xlsx", b"<table><tr><td>1</td></tr></table>", "html"),
    ("a.zip", zipped({"a.txt": b"x"}), "archive"), ("papers", zipped({"a.txt": b"x"}), "archive"), ("a.tar.gz", gzip.compress(b"x"), "archive"), ("log.1", b"x", "man")])
def test_the_format_of_exports_and_archives(name: str, data: bytes, kind: str) -> None:
    assert detect_format(data, name) == kind


def test_words_of_a_drawing_in_a_page_and_none_of_an_icon() -> None:
    page = b"<main><p>Before.</p><svg><title>Icon</title><path/></svg><svg><style>.a{}</style><text>Exit east</text></svg><p>After.</p></main>"
    assert parse_html(page, "a.html", "").text == "Before.\n\nExit east\n\nAfter."


def test_a_book_whose_package_file_is_not_named_or_not_there() -> None:
    chapter = b"<html xmlns='http://www.w3.org/1999/xhtml'><body><p>The heron nests at weir 4.</p></body></html>"
    package = b"<package><manifest><item id='a' href='a.xhtml'/></manifest><spine><itemref idref='a'/></spine></package>"
    book = {"mimetype": b"application/epub+zip", "META-INF/container.xml": b"<container/>", "a.xhtml": chapter}
    assert parse(zipped(book | {"book.opf": package}), "a.epub").text == "The heron nests at weir 4."
    with pytest.raises(DocumentError, match="no package file"):
        parse(zipped(book), "a.epub")


def test_arabic_words_that_a_browser_prints_from_their_last_letter_on() -> None:
    text, box = "ربعملا قلغم", np.zeros((10, 4), np.float32)
    box[:, 0] = [*range(100, 160, 10), *range(40, 80, 10)]  # the first word to the right of the second, the letters of each from the left
    box[:, 2], box[:, 3] = box[:, 0] + 10, 10
    shown, turns = np.array([at for at, letter in enumerate(text) if letter != " "]), np.zeros(10, int)
    along(text, shown, turns, box)
    assert "".join(text[shown[at]] for at in np.argsort(box[:, 0])) == "المعبرمغلق"


def test_raised_digits_are_told_from_others_also_where_they_are_nearly_as_large() -> None:
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(400, 300), invariant=True)
    canvas.setFont("Helvetica", 12)
    canvas.drawString(40, 250, "The tank holds 10")
    canvas.setFont("Helvetica", 10)
    canvas.drawString(40 + canvas.stringWidth("The tank holds 10", "Helvetica", 12), 255, "6")
    canvas.save()
    assert parse(file.getvalue(), "a.pdf").text == "The tank holds 10^6"


def test_lines_in_two_encodings_are_read_each_in_its_own() -> None:
    read = parse("Café opens at 8.\n".encode() + "Müller has the key 7.\n".encode("cp1252"), "a.log")
    assert read.text == "Café opens at 8.\nMüller has the key 7.\n" and read.remarks == "1 line is not in UTF-8 like the others, and read as cp1252"
