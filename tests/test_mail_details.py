"""Mails, mailboxes, RTF files and Jupyter notebooks with every feature of their readers (`ragwb.documents.mail`, `ragwb.documents.rtf`, `ragwb.documents.jupyter`),
and their exact text."""

import json
from email.message import EmailMessage

import pytest
from test_plain_formats import mail

from ragwb.documents.document import Document, DocumentError
from ragwb.documents.mail import calendar_value, parse_mail, parse_mbox, parse_mhtml
from ragwb.documents.parsing import parse

# Mails.


@pytest.mark.parametrize(
    ("name", "options", "value", "text"),
    [
        ("DTSTART", "", "20250311T081400Z", "2025-03-11 08:14 UTC"),
        ("DTSTART", ";TZID=Europe/Zurich", "20250311T081400", "2025-03-11 08:14 Europe/Zurich"),
        ("DTEND", "", "20250311T081459", "2025-03-11 08:14"),
        ("DTSTART", "", "20250311", "2025-03-11"),
        ("ORGANIZER", ';CN="Ann B"', "MAILTO:a@b", "Ann B <a@b>"),
        ("ATTENDEE", ";CN=a@b", "mailto:a@b", "a@b"),
        ("ATTENDEE", "", "mailto:a@b", "a@b"),
        ("SUMMARY", "", r"a\, b\; c\nd\\e", r"a, b; c d\e"),
        ("LOCATION", ";CN=x", "mailto:x", "mailto:x"),
    ],
)
def test_values_of_a_calendar(name: str, options: str, value: str, text: str) -> None:
    assert calendar_value(name, options, value) == text


CALENDAR = (
    "BEGIN:VCALENDAR\nDESCRIPTION:outside\nBEGIN:VTODO\nSUMMARY:Do \n it\nSTATUS:\nDESCRIPTION:long\\nline\nEND:VTODO\n"
    "BEGIN:VEVENT\nSUMMARY:Meet\nATTENDEE:mailto:a@b\nATTENDEE:mailto:c@d\n"
    "UID:5\nnoise\nBEGIN:VALARM\nDESCRIPTION:no\nEND:VALARM\nEND:VEVENT\nBEGIN:VEVENT\nSUMMARY:cut"
)
HEADERS = "From: Ann <a@b.c>\nTo: d@e.f\nCc: g@h.i\nDate: 2025-03-11 08:14+01:00\nSubject: Cal"
ATTACHED = "Attachments: x.ics (text/calendar), t/able (text/csv), i.png (image/png), j.png (image/png), unnamed (text/plain)"


def full_mail() -> EmailMessage:
    message = mail("Cal", "Hi\n\n \nthere  you\nline")
    message["From"], message["To"], message["Cc"], message["Date"] = "Ann <a@b.c>", "d@e.f", "g@h.i", "Tue, 11 Mar 2025 08:14:05 +0100"
    for data, kind, subtype, name, cid in (
        (CALENDAR.encode(), "text", "calendar", "x.ics", None),
        (b"a,b\n1,2\n", "text", "csv", "t/able", None),
        (b"x", "application", "pkcs7-signature", "smime.p7s", None),
        (b"\x89PNG", "image", "png", "i.png", "<1>"),
        (b"\x89PNG", "image", "png", "j.png", None),
        (b"# plain words", "text", "plain", None, None),
    ):
        message.add_attachment(data, maintype=kind, subtype=subtype, filename=name, cid=cid)
    message.add_attachment(mail("", "In it."))
    return message


def test_a_mail_with_all_that_may_come_with_one() -> None:
    read, events = parse(full_mail().as_bytes(), "dir/a.eml"), "Summary: Do it | Description: long line\nSummary: Meet | Attendee: a@b, c@d\nSummary: cut"
    assert read.text == "\n\n".join(
        (HEADERS, "Hi", "there you\nline", ATTACHED, events, "Attachment: t/able", "a: 1 | b: 2", "Attachment: unnamed", "# plain words", "Forwarded message: no subject", "In it.")
    )
    assert (read.title, read.remarks) == ("Cal", "j.png is not read: a PNG image, which holds no readable text") and read.metadata["date"] == "2025-03-11 08:14+01:00"
    assert [(heading.level, heading.title) for heading in read.headings] == [(1, "Attachment: t/able"), (1, "Attachment: unnamed"), (1, "Forwarded message: no subject")]
    alone = parse_mail(full_mail().as_bytes(), "a.eml", "")
    assert alone.text == "\n\n".join((HEADERS, "Hi", "there you\nline", ATTACHED, events, "Forwarded message: no subject", "In it.")) and alone.remarks == ""


def test_headings_of_what_came_with_a_mail_lie_below_its_own() -> None:
    inner = mail("Inner", "x")
    inner.add_attachment("  \n# One\n\n###### Six\n", filename="m.md")
    outer = mail("Outer", "y")
    outer.add_attachment(inner)
    read = parse(outer.as_bytes(), "a.eml")
    assert [(heading.level, heading.title, read.text[heading.start : heading.start + 5]) for heading in read.headings] == [
        (1, "Forwarded message: Inner", "Forwa"),
        (2, "Attachment: m.md", "Attac"),
        (3, "One", "# One"),
        (6, "Six", "#####"),
    ]


def test_a_file_with_too_much_text_is_left_out_and_its_mail_is_read() -> None:
    message = mail("s", "Body.")
    for name, text in (("long.txt", "x" * 90), ("b.txt", "y" * 10)):
        message.add_attachment(text, filename=name)
    read = parse_mail(message.as_bytes(), "a.eml", "", max_characters=150, read_file=parse)
    assert read.text == f"Subject: s\n\nBody.\n\nAttachments: long.txt (text/plain), b.txt (text/plain)\n\nAttachment: b.txt\n\n{'y' * 10}"
    assert read.remarks == "long.txt is not read: too much text for one document"
    with pytest.raises(DocumentError, match="more than 60 characters"):
        parse_mail(message.as_bytes(), "a.eml", "", max_characters=60, read_file=parse)


def test_a_mail_that_could_not_be_delivered_says_why() -> None:
    bounce = (
        b"Subject: Undelivered\nContent-Type: multipart/report; boundary=X\n\n--X\n\nIt failed.\n--X\nContent-Type: "
        b"message/delivery-status\n\nReporting-MTA: dns; a\n\nFinal-Recipient: b\nStatus: 5.1.1\n--X\n"
        b"Content-Type: text/rfc822-headers\nContent-Disposition: attachment\n\nSubject: first\n--X--\n"
    )
    assert parse(bounce, "a.eml").text == (
        "Subject: Undelivered\n\nIt failed.\n\nAttachments: unnamed (message/delivery-status), unnamed (text/rfc822-headers)\n\nReporting-MTA: dns; a\n\n"
        "Final-Recipient: b\nStatus: 5.1.1\n\nSubject: first"
    )


def numbered(letter: str, *counts: int) -> str:
    return " ".join(f"{letter}{n}" for n in range(*counts))


@pytest.mark.parametrize(
    ("plain", "rich", "kept"),
    [
        (numbered("w", 6), f"{numbered('w', 6)} {numbered('x', 4)}", "plain"),  # six of ten words are said
        (numbered("w", 5), f"{numbered('w', 5)} {numbered('x', 4)}", "rich"),  # five of nine are not enough
        (numbered("p", 11), "other", "rich"),
        (numbered("p", 12), "other", "both"),  # what the page lacks
        (f"{numbered('w', 20)} {numbered('p', 19)}", f"{numbered('w', 20)} {numbered('x', 20)}", "rich"),
        (f"{numbered('w', 20)} {numbered('p', 20)}", f"{numbered('w', 20)} {numbered('x', 20)}", "both"),
        ("", "other", "rich"),
    ],
)
def test_of_two_versions_the_one_is_read_that_says_more(plain: str, rich: str, kept: str) -> None:
    message = mail("s", plain)
    message.add_alternative(f"<p>{rich}</p>", subtype="html")
    said = {"plain": (plain,), "rich": (rich,), "both": (plain, rich)}[kept]
    assert parse(message.as_bytes(), "a.eml").text == "\n\n".join(("Subject: s", *said))


def test_alternatives_without_a_second_version_are_all_read() -> None:
    parts = (
        b"Subject: s\nContent-Type: multipart/alternative; boundary=X\n\n--X\nContent-Type: text/html; charset=utf-8\n\n<footer>Desk 5</footer>"
        b"\n--X\nContent-Type: text/html\n\n<meta charset=cp1251><p>\xcf\xf0\xe8\xe2\xe5\xf2</p>\n--X--\n"
    )
    assert parse(parts, "a.eml").text == "Subject: s\n\nDesk 5\n\nПривет"


def test_a_mailbox_has_its_mails_and_their_quoted_lines() -> None:
    box = b"From a\n" + mail("", "One.").as_bytes() + b"\n\nFrom b\n\n\nFrom c\r\n" + mail("Two", ">From x\n>>From y\nFrom inside").as_bytes()
    read = parse(box, "d/box.mbox")
    assert (read.text, read.title) == ("no subject\n\nOne.\n\nTwo\n\nSubject: Two\n\nFrom x\n>From y\nFrom inside", "box.mbox")
    assert [(heading.level, heading.title) for heading in read.headings] == [(1, "no subject"), (1, "Two")]
    with pytest.raises(DocumentError, match="no mailbox: no line begins with “From ”"):
        parse_mbox(b"no", "x.mbox", "")


def test_a_saved_page_has_its_title_or_the_subject() -> None:
    def saved(html: str, kind: str = "text/html") -> bytes:
        return f"Subject: Saved\nContent-Type: multipart/related; boundary=X\n\n--X\nContent-Type: text/css\n\nx\n--X\nContent-Type: {kind}\n\n{html}\n--X--\n".encode()

    assert [(read.title, read.text, read.metadata) for read in (parse_mhtml(saved(html), "a.mht", "") for html in ("<html lang=de><title>T</title><p>a</p>", "<p>b</p>"))] == [
        ("T", "a", {"language": "de"}),
        ("Saved", "b", {}),
    ]
    with pytest.raises(DocumentError, match="holds no web page"):
        parse_mhtml(saved("x", "text/plain"), "a.mht", "")


# RTF.


def rtf(data: bytes) -> Document:
    return parse(b"{\\rtf1\\ansi " + data + b"}", "a.rtf")


def test_headings_tables_items_and_notes_of_an_rtf_file() -> None:
    read = rtf(
        rb"""{\info{\title Deed \'e9}}{\fonttbl{\f0 Arial;}}\pard\outlinelevel1 Part two\par\pard\b\fs40 Biggest\par\pard\b\fs30 Big\par\pard\b\fs22 Bold small\par"""
        rb"""\pard\fs40 Large not bold\par"""
        rb"""\pard Text \{x\} \u8364? \par\pard\bullet  item\par\pard\bullet  next\par"""
        rb"""\trowd\cellx1\cellx2\intbl\b\fs40 Name\cell Value\cell\row\trowd\cellx1\cellx2\intbl Seal\cell 42\cell\row"""
        rb"""\pard{\annotation note\par} end {\footnote \chftn foot}\par\pard\outlinelevel8 Deep\par\pard\outlinelevel0 """
        + b"x" * 151
        + rb"""\par\pard\outlinelevel0 """
        + b"y" * 150
        + rb"\par"
    )
    assert read.text == (
        "Part two\n\nBiggest\n\nBig\n\nBold small\n\nLarge not bold\n\nText {x} €\n\n- item\n- next\n\nName: Seal | Value: 42\n\n(note) end (foot)\n\nDeep\n\n"
        + "x" * 151
        + "\n\n"
        + "y" * 150
    )
    assert [(heading.level, heading.title) for heading in read.headings] == [(2, "Part two"), (1, "Biggest"), (2, "Big"), (6, "Deep"), (1, "y" * 150)]
    assert read.title == "Deed é" and rtf(rb"\pard x\par").title == "a.rtf"


def test_links_headers_and_footers_of_an_rtf_file() -> None:
    links = rtf(
        rb"""{\field{\*\fldinst HYPERLINK "mailto:a@b.c"}{\fldrslt {\ul write} \{us\}}}"""
        rb""" {\field{\*\fldinst HYPERLINK "file:///c"}{\fldrslt f}} {\field{\*\fldinst HYPERLINK "https://x.example"}{\fldrslt x}}\par"""
    )
    assert links.text == "write {us} (a@b.c) f x (https://x.example)"
    running = rtf(rb"{\header\pard Head\par}{\headerf\pard  Head\par}{\footer F1\par}{\footerl F2\par}A{\footnote {\b bold} note} B\par{\header Other\par}C{\footer F1\par}")
    assert running.text == "Head\n\nA (bold note) B\n\nOther\n\nC\n\nF1\n\nF2"


# Notebooks.


def test_a_notebook_has_its_text_code_prints_and_headings() -> None:
    cells: list[object] = [
        {"cell_type": "markdown", "source": ["# Top\n", "\n", "## Sub\n"]},
        {"cell_type": "raw", "source": "\r\nraw\r\n"},
        {
            "cell_type": "code",
            "source": "",
            "outputs": [{"data": {"text/plain": ["42"], "image/png": "x"}}, {"output_type": "stream", "text": " \n"}, "bad", {"ename": "E"}, {"ename": "K", "evalue": "v"}],
        },
        "bad",
        {"cell_type": "code"},
        {"cell_type": "markdown", "source": 5},
        {"cell_type": "code", "source": "# no heading", "outputs": {"text": "no"}},
        {"cell_type": "markdown", "source": "### Last"},
    ]
    book = {"cells": cells, "worksheets": [{"cells": [{"cell_type": "code", "input": ["old", 5, "er"]}]}, 3]}
    read = parse(json.dumps(book).encode(), "a.ipynb")
    assert read.text == "# Top\n\n## Sub\n\nraw\n\n42\nE: \nK: v\n\n# no heading\n\n### Last\n\nolder"
    assert [(heading.level, heading.title, read.text[heading.start : heading.start + 5]) for heading in read.headings] == [
        (1, "Top", "# Top"),
        (2, "Sub", "## Su"),
        (3, "Last", "### L"),
    ]
    assert (read.title, read.format) == ("Top", "ipynb")
    with pytest.raises(DocumentError, match="no valid JSON: .* in line 2"):
        parse(b'{"cells":\n[', "a.ipynb")
    with pytest.raises(DocumentError, match="no text"):
        parse(b"[5]", "a.ipynb")
