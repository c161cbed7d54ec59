"""What files without a layout of their own hold, as people send them: mails, web pages, tables, logs, old encodings, and what is said when a part cannot be read.

tests/tools/mutants.py runs this file for `ragwb.documents.text`, `ragwb.documents.html`, `ragwb.documents.mail`, `ragwb.documents.rtf`, `ragwb.documents.epub`,
`ragwb.documents.jupyter` and `ragwb.documents.tables`, which it knows through `parse`."""

# ruff: noqa: E501  # long lines are long files

import io
import json
import time
import unicodedata
import zipfile
from email.message import EmailMessage

import pytest

from ragwb.documents.document import DocumentError
from ragwb.documents.encoding import decode
from ragwb.documents.parsing import parse


def text_of(data: bytes | str, name: str) -> str:
    return parse(data.encode() if isinstance(data, str) else data, name).text


# Encodings
NOTICES = {
    "cp1252": ("Señor Núñez, mañana", "He said “no” – it’s 5", "blåbærsyltetøj"), "cp1250": ("Łódź, wysokość 5 m", "Árvíztűrő tükörfúrógép"),
    "iso8859_2": ("Łódź, wysokość 5 m źródło",), "cp1251": ("Часы работы: с 9 до 17", "Київ — столиця України"), "koi8_r": ("Стоимость 120 рублей",), "cp866": ("Часы работы: с 9 до 17",),
    "cp437": ("Die Größe beträgt fünf Meter",), "cp850": ("ação são",), "cp852": ("Łódź, wysokość 5 m źródło",), "mac_roman": ("It’s “fine” – really", "L’été à la plage"),
    "cp1253": ("Ωράριο λειτουργίας",), "cp1254": ("Fiyatı beş liradır, şehir içi ağır",), "cp1255": ("המחיר הוא חמישה שקלים",), "cp1256": ("السعر خمسة دنانير",),
    "cp1257": ("Kaina penki eurai, šiandien, žemė, ė, įmonė",), "cp874": ("ราคาห้าบาท",), "gb18030": ("型号：A-5，价格：12元", "会议室八点开门"), "big5": ("會議室八點開門",),
    "cp932": ("会議室は八時に開きます", "ポンプ"), "euc_jp": ("会議室は八時に開きます",), "cp949": ("회의실은 8시에 엽니다",), "utf-16-le": ("Ärztehaus;Köln\n", "Насос\n"), "utf-16-be": ("Ärztehaus;Köln\n",),
}  # fmt: skip


@pytest.mark.parametrize(("encoding", "notice"), [(encoding, notice) for encoding, notices in NOTICES.items() for notice in notices])
def test_short_notices_in_old_encodings(encoding: str, notice: str) -> None:
    assert decode(notice.encode(encoding), "a.txt").text == notice


def test_what_is_unsure_or_damaged_is_said() -> None:
    assert "its encoding is a guess" in parse("żółć".encode("cp1250"), "a.txt").remarks
    assert "1 damaged character" in parse("Die Größe der Dichtung, geprüft in Köln".encode().replace(b"Dicht", b"D\xffcht"), "a.md").remarks
    assert "damaged" in parse("Größe;Farbe\n4;blau\n".encode("utf-16")[:-1], "a.csv").remarks
    assert not parse("Die Größe der Dichtung, geprüft in Köln".encode("cp1252"), "a.txt").remarks


def test_declared_encodings_are_those_of_browsers() -> None:
    page = '<html><head><meta charset="{}"></head><body><p>{}</p></body></html>'
    for name, text, encoding in (("gb2312", "价格：五元，镕", "gb18030"), ("iso-8859-1", "5 € – “gut”", "cp1252"), ("shift_jis", "①番", "cp932"), ("punycode", "plain words", "ascii")):
        assert text in text_of(page.format(name, text).encode(encoding), "a.html")


def test_letters_with_accents_apart_are_composed() -> None:
    for name in ("a.txt", "a.md"):
        assert text_of(unicodedata.normalize("NFD", "Gebühr für Å und ガ"), name) == "Gebühr für Å und ガ"
    hindi = "क़ानून"  # has no composed form: stays as it is
    assert text_of(unicodedata.normalize("NFD", hindi), "a.txt") == unicodedata.normalize("NFD", hindi)


# Tables
def test_decimal_commas_are_no_delimiters() -> None:
    assert "Menge, kg: 21,5 | Preis, EUR: 1,02" in text_of("Tag;Menge, kg;Preis, EUR\n1;21,5;1,02\n2;22,7;1,04\n", "a.csv")
    assert "tags: a;b" in text_of("id,tags\n1,a;b\n2,c;d\n", "a.csv")
    assert "Wert: 1,5" in text_of("Name\tWert\nx\t1,5\ny\t2,5\n", "a.csv")


def test_lines_above_the_table_of_an_export() -> None:
    for gap in ("\n", ";;;\n"):
        text = text_of(f"Account holder;Rowing club;;\nIBAN:;CH93 0076;;\nExport of May\n{gap}Day;To;For;Amount\n03.04.;Works;Power;-118,40\n15.04.;Yard;Repair;-642,00\n", "a.csv")
        assert text.startswith("Account holder: Rowing club\nIBAN: CH93 0076\nExport of May") and "To: Yard | For: Repair | Amount: -642,00" in text
    assert text_of(",2023,2024\nNorth,5,6\nSouth,7,8\n", "a.csv").startswith("North | 2023: 5 | 2024: 6")


def test_an_open_quotation_mark_costs_its_cell_only() -> None:
    rows = "".join(f'P{n},"Valve, size {n}",{n}\n' for n in range(50))
    document = parse(f'part,text,price\nX,"Hose 1 inch,14\n{rows}Y,12" pipe,3\n'.encode(), "a.csv")
    assert "part: P49 | text: Valve, size 49 | price: 49" in document.text and 'text: 12" pipe' in document.text and "line 2" in document.remarks
    assert text_of('a,b\n1,"two\nlines, ""quoted"""\n2,x\n', "a.csv") == 'a: 1 | b: two lines, "quoted"\na: 2 | b: x'
    start = time.process_time()
    assert "and more" in parse(b"a,b\n" + b'1,"x\n2,"y z\n' * 60_000, "open.csv").remarks
    assert time.process_time() - start < 8


def test_names_of_columns_may_be_questions_and_come_twice() -> None:
    question = "If you could change one single thing about the reading rooms, what would it be and why would you change it?"
    assert f"{question}: More light" in text_of(f'Day,Rating,"{question}"\n1,4,More light\n2,5,Nothing\n', "a.csv")
    assert "date: 2025-01-02 | amount: 11 | date: 2025-02-02" in text_of("date,amount,date,amount\n2025-01-01,10,2025-02-01,12\n2025-01-02,11,2025-02-02,13\n", "a.csv")
    assert text_of("yes,yes,no\nno,often,yes\nnever,no,no\n", "a.csv").startswith("yes | yes | no")


def test_rows_of_a_long_markdown_table_name_their_columns() -> None:
    rows = "".join(f"| SP-{n:03} | a\\|b | {n % 17} |\n" for n in range(100))
    text = text_of(f"# Parts\n\n| Part | Kind | Torque |\n|:--|---|--:|\n{rows}\nEnd.\n", "a.md")
    assert "\nPart: SP-097 | Kind: a|b | Torque: 12\n" in text and text.endswith("\nEnd.\n")
    short = "| Part | Torque |\n|---|---|\n| A | 1 |\n"
    assert text_of(short, "a.md") == short


# JSON
def test_damaged_json_is_read_as_far_as_it_goes() -> None:
    log = parse(b'{"event": "start"}\n{"event": "alarm", "reason": "door open"}\nnoise\n{"event": "stop"}\n{"ev', "a.jsonl")
    assert "reason: door open" in log.text and "event: stop" in log.text and "2 of 5 lines left out" in log.remarks and "line 3, 5" in log.remarks
    assert text_of('{"a": 1}{"a": 2}\n\n{\n"a": 3}', "a.json") == "a: 1\na: 2\na: 3"
    cut = parse(b'{"list": [{"part": "A", "text": "x, ]"}, {"part": "B", "te', "a.json")
    assert "part: A | text: x, ]" in cut.text and "cut off" in cut.remarks


def test_a_notebook_keeps_text_code_and_prints() -> None:
    cells = [{"cell_type": "markdown", "source": "## Offset\nIt is 0.37 volts."}, {"cell_type": "code", "source": ["x = 2\n", "x"], "outputs": [{"text": ["two\n"]}, {"ename": "KeyError", "evalue": "k"}]}]
    document = parse(json.dumps({"cells": cells, "nbformat": 4}).encode(), "a.ipynb")
    assert document.text == "## Offset\nIt is 0.37 volts.\n\nx = 2\nx\n\ntwo\nKeyError: k" and document.headings[0].title == "Offset"
    assert "old" in text_of(json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": "old"}]}]}), "a.ipynb")


# Web pages
def page(body: str) -> str:
    return text_of(f"<html><head><title>t</title></head><body>{body}</body></html>", "a.html")


LONG = "A sentence that is long enough for the main part of a page, which needs more than a hundred characters. "


def test_questions_in_buttons_and_their_hidden_answers() -> None:
    text = page('<div><button aria-expanded=false aria-controls=a1>What if I lose the key?</button><div id=a1 hidden>35 francs.</div></div><button>Send</button><div hidden>Secret</div>')
    assert text == "What if I lose the key?\n\n35 francs."
    assert "Refunds" in page("<h3><button>Refunds</button></h3><p>In ten days.</p>") and "Menu" not in page("<button aria-expanded=false>Menu</button><p>x</p>")


def test_lines_of_preformatted_text() -> None:
    assert page("<pre>a <b>b</b><br/>c<div>d</div><div>e</div>\n\n  f</pre>") == "a b\nc\nd\ne\n\n  f"
    assert page("<pre>\n<code>x = 1\n\n\ny = 2</code></pre>") == "x = 1\n\n\ny = 2"


def test_lists_in_the_cells_of_a_table() -> None:
    assert "Plan: Studio | Includes: own room; two places | Fee: 340" in page("<table><tr><th>Plan<th>Includes<th>Fee<tr><td>Studio<td><ul><li>own room<li>two places</ul><td>340</table>")
    assert page("<table><tr><td><ul><li>Home</ul><td><h2>News</h2></table>") == "- Home\n\nNews"


def test_contact_lines_of_a_footer() -> None:
    for contact in ("Call 555 0188", "<address>Pier 4</address>", "Open 8:00 – 18:00", '<a href="mailto:k@x.example">Write</a>'):
        text = page(f"<main><p>{LONG}</p></main><div><footer><p>{contact}</p><a href=/terms>Terms</a></footer></div>")
        assert any(part in text for part in ("555 0188", "Pier 4", "18:00", "k@x.example")) and "Terms" not in text
    assert "2019" not in page(f"<main><p>{LONG}</p></main><footer>© Orrinmere 2019 – 2025</footer>")


def test_what_only_the_look_says_is_written_down() -> None:
    assert page("<p>It costs <s>120</s> <ins>95</ins> dollars.</p>") == "It costs ~~120~~ 95 dollars."
    assert page('<p><span style="text-decoration: line-through">120</span> 95</p>') == "~~120~~ 95"
    assert page("<p>荷物は<ruby>一階<rp>(</rp><rt>いっかい</rt><rp>)</rp></ruby>の窓口</p>") == "荷物は一階の窓口"
    assert page('<p>See <a href="https://x.example/b">the form</a> and <a href="/y">this</a>, <a href="https://x.example">x.example</a>.</p>') == "See the form (https://x.example/b) and this, x.example."
    assert page('<p>Map <img data-src=a alt="The hall is in the north wing"><img alt="logo"></p>') == "Map [The hall is in the north wing]"
    assert page("<p><math><mfrac><mn>3</mn><mn>16</mn></mfrac></math> inch</p>") == "3/16 inch"


def test_notes_for_browsers_without_scripts() -> None:
    assert page("<noscript><p>Register at desk 2.</p></noscript><p>x</p>") == "Register at desk 2.\n\nx"
    assert page("<noscript>Please enable JavaScript.</noscript><p>x</p>") == "x"


def test_text_beside_the_main_part() -> None:
    fares = "<div class=content><h2>Fares</h2><p>A return ticket to Highmoor costs 14 dollars.</p></div>"
    links = "<div><a href=/1>A page about the history of this railway</a> <a href=/2>Another page, about its engines</a></div>"
    cookies = "<div id=cookie-banner>We use cookies, and you have to accept them to see this page.</div>"
    text = page(f"{cookies}<div role=main><h1>Welcome</h1>{LONG}</div>{links}{fares}<main><p>{LONG}Second.</p></main>")
    assert "Highmoor" in text and "Second." in text and "engines" not in text and "cookies" not in text and text.index("Fares") < text.index("Second.")


def test_a_page_saved_as_one_file() -> None:
    saved = 'From: <Saved by Blink>\nSubject: Tides\nMIME-Version: 1.0\nContent-Type: multipart/related; type="text/html"; boundary="X"\n\n--X\nContent-Type: text/html; charset=windows-1252\nContent-Transfer-Encoding: quoted-printable\n\n<p>H=F6he 06:42</p>\n--X\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBO\n--X--\n'
    assert (parse(saved.encode(), "a.mht").text, parse(saved.encode(), "a.mhtml").title) == ("Höhe 06:42", "Tides")


# Books and RTF
def test_a_book_without_one_of_its_chapters() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("META-INF/container.xml", '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="c.opf"/></rootfiles></container>')
        items = "".join(f'<item id="i{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in "abc")
        archive.writestr("c.opf", f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine><itemref idref="ia"/><itemref idref="ib"/><itemref idref="ic"/></spine></package>')
        archive.writestr("a.xhtml", "<html><body><p>First</p></body></html>")
        archive.writestr("C.xhtml", "<html><body><p>Third</p></body></html>")
    document = parse(file.getvalue(), "a.epub")
    assert document.text == "First\n\nThird" and "b.xhtml is left out" in document.remarks


def test_rtf_headers_notes_and_links() -> None:
    rtf = rb"""{\rtf1\ansi{\header Procedure R-88\par}{\footerr Issue 4\par}See {\field{\*\fldinst HYPERLINK "https://r.example/88"}{\fldrslt{the rules}}}{\super\chftn}{\footnote\pard {\super\chftn} Applies from July.} now.\par\sect{\header Procedure R-88\par}End.\par}"""
    text = text_of(rtf, "a.rtf")
    assert text.count("Procedure R-88") == 1 and "the rules (https://r.example/88)" in text and "(Applies from July.)" in text.replace("( ", "(")
    assert "End." in text and text.endswith("Issue 4")


# Mail
def mail(subject: str = "s", text: str = "Body.", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message.set_content(text)
    return message


def test_files_and_messages_that_came_with_a_mail_are_parts_of_it() -> None:
    inner = mail("Permit", "CR-509 ends on 30 November.")
    inner.add_attachment(b"part,price\nH-13,22\n", maintype="application", subtype="octet-stream", filename="prices.csv")
    outer = mail("Fwd")
    outer.add_attachment(inner)
    outer.add_attachment("# Minutes\n\nMoved to week 22.", filename="minutes.md")
    outer.add_attachment(b"PK\x03\x04broken", maintype="application", subtype="zip", filename="files.zip")
    document = parse(outer.as_bytes(), "a.eml")
    assert [h.title for h in document.headings_at(document.text.index("part: H-13"))] == ["Forwarded message: Permit", "Attachment: prices.csv"]
    assert [h.title for h in document.headings_at(document.text.index("week 22"))] == ["Attachment: minutes.md", "Minutes"]
    assert "30 November" in document.text and "files.zip is not read: damaged archive" in document.remarks
    assert all(document.text.startswith((h.title, f"# {h.title}"), h.start) for h in document.headings)


def test_the_version_of_a_mail_that_says_more() -> None:
    stub = mail(text="Your program cannot show this mail.")
    stub.add_alternative("<p>Order 77-310 leaves with carrier Blueline.</p>", subtype="html")
    assert text_of(stub.as_bytes(), "a.eml").endswith("Order 77-310 leaves with carrier Blueline.")
    same = mail(text="Order 77-310 leaves with Blueline.\n\nGreetings")
    same.add_alternative("<p>Order <b>77-310</b> leaves with Blueline.</p><p>Greetings</p>", subtype="html")
    assert text_of(same.as_bytes(), "a.eml").count("77-310") == 1
    assert text_of("Subject: s\nContent-Type: text/html\n\n<p>a</p><footer>Desk: extension 901</footer>", "a.eml").endswith("a\n\nDesk: extension 901")


def test_every_text_and_appointment_of_a_mail() -> None:
    parts = "Subject: s\nContent-Type: multipart/mixed; boundary=X\n\n--X\n\nFirst.\n--X\nContent-Type: text/plain\n\nSecond.\n--X\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Pump test\nDTSTART:20250311T081400Z\nLOCATION:Hall 3\nBEGIN:VALARM\nDESCRIPTION:no\nEND:VALARM\nEND:VEVENT\nEND:VCALENDAR\n--X--\n"
    assert text_of(parts, "a.eml").endswith("First.\n\nSecond.\n\nSummary: Pump test | Start: 2025-03-11 08:14 UTC | Location: Hall 3")


def test_a_mailbox_is_one_document_with_a_heading_for_each_mail() -> None:
    document = parse(b"From a@b Tue\n" + mail("One").as_bytes() + b"\nFrom c@d Wed\n" + mail("Two", ">From here on.").as_bytes(), "box.mbox")
    assert [heading.title for heading in document.headings] == ["One", "Two"] and document.text.endswith("From here on.")


def test_hostile_mails_stay_within_their_limits() -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(60_000_000))
    outer = mail()
    outer.add_attachment(bomb.getvalue(), maintype="application", subtype="octet-stream", filename="bomb.docx")
    start = time.process_time()
    assert "unpacks from" in parse(outer.as_bytes(), "a.eml").remarks
    nested = mail("innermost")
    for _ in range(12):
        above = mail()
        above.add_attachment(nested)
        nested = above
    assert "nested too deeply" in parse(nested.as_bytes(), "a.eml").remarks
    many = b"Subject: s\nContent-Type: multipart/mixed; boundary=X\n\n" + b"--X\n\ntext\n" * 10_000 + b"--X--\n"
    assert "1,000 parts" in parse(many, "a.eml").remarks
    deep = b"".join(b"Content-Type: multipart/alternative; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(10_000)) + b"\n\ntext\n"
    with pytest.raises(DocumentError, match=r"nested too deeply|no text"):
        parse(deep, "a.eml")
    assert time.process_time() - start < 8
