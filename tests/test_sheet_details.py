"Workbooks with every feature of their reader (`ragwb.documents.sheets`), and the exact text that a person reads in them."

import io
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

import openpyxl
import pytest
from hostile_files import cell, workbook
from openpyxl.comments import Comment
from openpyxl.worksheet.worksheet import Worksheet
from test_office import NAMES, packed, relations, unpacked

from ragwb.documents.document import Document
from ragwb.documents.parsing import parse
from ragwb.documents.sheets import (
    attribute,
    cell_text,
    closed_sheet,
    closed_up,
    column_letters,
    column_number,
    header_depth,
    joined_names,
    number_format,
    used_area,
)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("", ""),
        ("x", "x"),
        (True, "TRUE"),
        (False, "FALSE"),
        (3, "3"),
        (3.0, "3"),
        (-2.5, "-2.5"),
        (999_999_999_999_999.0, "999999999999999"),
        (1e15, "1000000000000000"),
        (0.1 + 0.2, "0.3"),
        (datetime(2025, 1, 2), "2025-01-02"),
        (datetime(2025, 1, 2, 3, 4), "2025-01-02 03:04"),
        (datetime(2025, 1, 2, 3, 4, 5), "2025-01-02 03:04:05"),
        (date(2025, 1, 2), "2025-01-02"),
        (timedelta(hours=30, minutes=5), "30:05"),
        (timedelta(minutes=1, seconds=7), "0:01:07"),
        (timedelta(seconds=59.6), "0:01"),
        (time(7, 5), "07:05"),
    ],
)
def test_a_cell_is_written_as_a_reader_would(content: object, text: str) -> None:
    assert cell_text(content) == text


FORMATS = {  # 742, 0.125, -4.5 and 1234567.891 in it
    "0%": "74200% 13% -450% 123456789%",
    "0.00%": "74200.00% 12.50% -450.00% 123456789.10%",
    r"#,##0.00\ [$€-407]": "742.00 € 0.13 € -4.50 € 1,234,567.89 €",
    "[$USD] #,##0.00": "USD 742.00 USD 0.13 -USD 4.50 USD 1,234,567.89",
    '"CHF "0.00': "CHF 742.00 CHF 0.13 -CHF 4.50 CHF 1234567.89",
    "00000": "00742 00000 -00005 1234568",
    '0.0,,"M"': "0.0M 0.0M -0.0M 1.2M",
    "0.0,": "0.7 0.0 -0.0 1234.6",
    "$0.00": "$742.00 $0.13 -$4.50 $1234567.89",
    '0.0%" of all"': "74200.0% of all 12.5% of all -450.0% of all 123456789.1% of all",
    "000%": "74200% 013% -450% 123456789%",
    "£ 0.00;(0)": "£ 742.00 £ 0.13 (5) £ 1234567.89",
    '"(a)" 0.00': "(a) 742.00 (a) 0.13 -(a) 4.50 (a) 1234567.89",
    '0.00"°C"': "742.00°C 0.13°C -4.50°C 1234567.89°C",
}


@pytest.mark.parametrize("code", FORMATS)
def test_a_number_is_written_as_its_format_shows_it(code: str) -> None:
    made = number_format(code)
    assert made and " ".join(made.shown(value) for value in (742, 0.125, -4.5, 1234567.891)) == FORMATS[code]
    assert [made.shown(value) for value in (True, "t", date(2025, 3, 4), None)] == ["TRUE", "t", "2025-03-04", ""]


def test_formats_that_add_nothing_and_those_of_dates() -> None:
    nothing = ("General", "dd/mm/yyyy", "mm-dd-yy", "yyyy-mm-dd", "@", "h:mm", "d", "")
    assert [code for code in nothing if number_format(code)] == []
    for code, number, shown in (("0.0_);(0.0)", -2.25, "(2.3)"), ("[Red]0", 2.5, "3"), ("0.00", 2.675, "2.68"),
                                ("0.00E+00", 12345, "1.23E+04"), ("# ?/?", 2.5, "2 1/2"), ("00-00", 742, "07-42")):
        made = number_format(code)
        assert made and made.shown(number) == shown
    for code, shown in (("yyyy", "2025"), ("[$-409]yyyy", "2025"), ("mmm yy", "Mar 25"), ("yyyy-mm", "2025-03"), ("dd.mm.yyyy", "04.03.2025"),
                        ("[$-40C]d mmmm yyyy", "4 mars 2025")):
        made = number_format(code)
        assert made and (made.shown(date(2025, 3, 4)), made.shown(datetime(2025, 3, 4, 5)), made.shown(4.5)) == (shown, shown, "4.5")


def test_columns_have_letters_and_gaps_are_closed_up() -> None:
    letters = {"A": 0, "Z": 25, "AA": 26, "AZ": 51, "BA": 52, "ZZ": 701, "AAA": 702, "XFD": 16383}
    assert [column_number(name) for name in letters] == [column_number(name.encode()) for name in letters] == list(letters.values())
    assert [column_letters(number) for number in letters.values()] == list(letters)
    assert closed_up([0, 1, 5, 300, 301, 1000], 100) == {0: 0, 1: 1, 5: 5, 300: 7, 301: 8, 1000: 10}
    assert closed_up([0, 101, 203, 305], 100) == {0: 0, 101: 101, 203: 103, 305: 105}, "a gap of a hundred stays"
    xml = (
        b'<dimension ref="A1:C900"/><row r="1"><c r="A1"/><c r="C1"/></row><row r="900"><c r="B900"/></row><row r="950"/>'
        b'<mergeCells><mergeCell ref="A1:C1"/><mergeCell ref="A1:A500"/></mergeCells>'
    )
    assert closed_sheet(xml, {0: 0, 2: 1, 1: 9}, {0: 0, 899: 5}) == (
        b'<row r="1"><c r="A1"/><c r="B1"/></row><row r="6"><c r="J6"/></row><row r="6"/><mergeCells><mergeCell ref="A1:B1"/></mergeCells>'
    )
    assert used_area(io.BytesIO(xml)) == ([0, 1, 2], [0, 899], 3) and used_area(io.BytesIO()) == ([0], [0], 0)
    assert [attribute(b' ref="A1" r:id="x&amp;y" xid="no"', name) for name in ("ref", "id", "none")] == ["A1", "x&y", ""]


def test_the_rows_of_a_header_are_found_by_its_merged_cells() -> None:
    cases = [
        ([((0, 1), (0, 1))], 9, 1),
        ([((0, 1), (0, 2)), ((0, 3), (0, 4))], 9, 2),
        ([((0, 1), (1, 2))], 9, 3),
        ([((0, 1), (0, 2))], 2, 1),
        ([((0, 1), (0, 2))], 3, 2),
        ([((0, 0), (0, 4))], 9, 1),
        ([((0, 0), (0, 3))], 9, 2),
        ([((0, 1), (0, 2)), ((1, 1), (1, 2))], 9, 3),
        ([((0, 0), (1, 0))], 9, 1),
        ([((1, 1), (1, 2))], 9, 1),
    ]
    assert [header_depth(merged, 0, 5, height) for merged, height, _ in cases] == [depth for *_, depth in cases]
    rows = [(3, ["Region", "2023", "", "2024", ""]), (4, ["", "Q1", "Q2", "Q1", "2024"])]
    assert joined_names(rows, [((3, 3), (3, 4)), ((3, 5), (3, 6)), ((9, 9), (9, 10))], 2) == ["Region", "2023 Q1", "2023 Q2", "2024 Q1", "2024"]


def saved(book: openpyxl.Workbook, parts: Mapping[str, str] = {}) -> Document:
    "The document of a workbook with some parts exchanged or added."
    file = io.BytesIO()
    book.save(file)
    return parse(packed(unpacked(file.getvalue()) | {name: part.encode() for name, part in parts.items()}), "dir/a.xlsx")


def filled(sheet: Worksheet, *rows: list[object]) -> Worksheet:
    for row in rows:
        sheet.append(row)
    return sheet


def test_a_sheet_of_several_tables_with_titles_formats_links_and_comments() -> None:
    book = openpyxl.Workbook()
    sheet = filled(
        book.active,
        ["Prices of May"],
        ["Part", "Price", "Since"],
        ["Seal", 42.5, date(2025, 5, 1)],
        ["Cap", 7, date(2026, 5, 1)],
        [],
        ["Bolt", 1, date(2027, 5, 1)],
        [],
        ["Plant", "North", "South"],
        ["Pumps", 3, 4],
    )
    sheet["B3"].number_format = sheet["B4"].number_format = '0.00" CHF"'
    sheet["C3"].number_format = sheet["C4"].number_format = "yyyy"
    sheet["A3"].hyperlink, sheet["A4"].hyperlink = "https://a.example/seal", "#Other!A1"
    sheet["B3"].comment, sheet["D9"].comment = Comment("Without tax.", "Ada"), Comment("Beside the table.", "Ada")
    filled(book.create_sheet("Other & more"), ["x"])
    hidden = filled(book.create_sheet("Hidden"), ["secret"])
    hidden.sheet_state = "hidden"
    filled(book.create_sheet("Very"), ["secret"]).sheet_state = "veryHidden"
    book.create_sheet("Empty")
    read = saved(book)
    assert read.text == (
        "Sheet\n\nPrices of May\n\nPart: Seal (https://a.example/seal) | Price: 42.50 CHF | Since: 2025\nPart: Cap | Price: 7.00 CHF | Since: 2026\n\n"
        "Part: Bolt | Price: 1 | Since: 2027-05-01\n\nPlant: Pumps | North: 3 | South: 4\n\n"
        "Comment on B3 (42.50 CHF): Without tax.\n\nComment on D9: Beside the table.\n\nOther & more\n\nx\n\nEmpty"
    )
    assert [(page.kind, page.label) for page in read.pages] == [("sheet", "Sheet"), ("sheet", "Other & more"), ("sheet", "Empty")] and [h.level for h in read.headings] == [1, 1, 1]
    assert (read.remarks, read.metadata["hidden_sheets"], read.title, read.format) == ("hidden sheets are not read: Hidden, Very", "Hidden, Very", "a.xlsx", "xlsx")


def test_what_is_merged_down_the_first_column_is_repeated() -> None:
    book = openpyxl.Workbook()
    sheet = filled(
        book.active, [None, "Plant", "Pump", "Bar"], [None, "North", "P1", 3], [None, None, "P2", 4], [None, None, "P3", 5], [None, "South", "P4", 6], [None, "West", "both", None]
    )
    for cells in ("B2:B4", "C6:D6"):
        sheet.merge_cells(cells)
    sheet["C3"].comment = Comment("New.", "Ada")
    rows = ("North | Pump: P1 | Bar: 3", "North | Pump: P2 | Bar: 4", "North | Pump: P3 | Bar: 5", "South | Pump: P4 | Bar: 6", "West | Pump: both | Bar: both")
    assert saved(book).text == "Sheet\n\n" + "\n".join(f"Plant: {row}" for row in rows) + "\n\nComment on C3 (P2): New."


def test_a_header_of_two_rows_goes_on_for_the_next_table_without_one() -> None:
    book = openpyxl.Workbook()
    sheet = filled(book.active, ["All plants"], [None, "2023", None, "2024"], ["Plant", "Q1", "Q2", "Q1"], ["North", 1, 2, 3], [], ["South", 3, 4, 5])
    sheet.merge_cells("B2:C2")
    assert saved(book).text == ("Sheet\n\nAll plants\n\nPlant: North | 2023 Q1: 1 | 2023 Q2: 2 | 2024 Q1: 3\n\nPlant: South | 2023 Q1: 3 | 2023 Q2: 4 | 2024 Q1: 5")


def test_formulas_without_results_are_read_as_formulas_and_links_in_them() -> None:
    book = openpyxl.Workbook()
    sheet = filled(book.active, ["Item", "Total", "Form"], ["Tent", '=IF(A2<>"&",1,2)', '=HYPERLINK("https://a.example/?a=1&b=2","Stove")'])
    sheet["B2"].number_format = "0%"
    read = saved(book)
    assert read.text == 'Sheet\n\nItem: Tent | Total: =IF(A2<>"&",1,2) | Form: =HYPERLINK("https://a.example/?a=1&b=2","Stove")'
    assert read.remarks == "a formula without a stored result, read as the formula (2 times)"
    stored = (
        b'<row r="1"><c r="A1" t="str"><f>HYPERLINK("https://a.example/?a=1&amp;b=2","Stove")</f><v>Stove</v></c>'
        b'<c r="B1"><f>A9</f><v></v></c><c r="C1"><f>1+1</f><v>2</v></c></row>'
    )
    assert parse(workbook(stored), "a.xlsx").text == "a\n\nStove (https://a.example/?a=1&b=2) | =A9 | 2"


def test_threaded_comments_replace_the_notes_that_excel_writes_for_older_programs() -> None:
    book = openpyxl.Workbook()
    filled(book.active, ["Item", "Due"], ["Tent", 5])
    threads = (
        '<ThreadedComments xmlns="t"><threadedComment ref="B2" id="1"><text>Really five?</text></threadedComment>'
        '<threadedComment ref="B2" id="2" parentId="1"><text>Yes.</text></threadedComment><threadedComment ref="B2"><text>Paid?</text></threadedComment>'
        '<threadedComment ref="A1"><text> </text></threadedComment></ThreadedComments>'
    )
    notes = (
        '<comments xmlns="c"><commentList><comment ref="B2"><text><t>[Threaded comment]</t></text></comment><comment ref="A2">'
        '<text><r><t>A </t></r><r><t>note.</t></r></text></comment></commentList></comments>'
    )
    read = saved(book, {"xl/worksheets/_rels/sheet1.xml.rels": relations(("comments", "../c.xml"), ("threadedComment", "../t.xml")), "xl/c.xml": notes, "xl/t.xml": threads})
    assert read.text == "Sheet\n\nItem: Tent | Due: 5\n\nComment on B2 (5): Really five? Reply: Yes.\n\nComment on B2 (5): Paid?\n\nComment on A2 (Tent): A note."


def test_drawings_of_a_sheet_are_read_from_the_top() -> None:
    book = openpyxl.Workbook()
    filled(book.active, ["Week", "Guests"], [31, 420])
    anchor = "<x:anchor><x:from><x:col>{}</x:col><x:row>{}</x:row></x:from>{}</x:anchor>"
    box = "<x:sp><x:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p><a:p><a:r><a:t>{}</a:t></a:r></a:p></x:txBody></x:sp>"
    drawn = (
        anchor.format(0, 9, box.format("third", "fourth"))
        + anchor.format(5, 2, box.format("second", ""))
        + anchor.format(4, 2, '<x:pic><x:nvPicPr><x:cNvPr id="1" name="p" descr="First, a map"/></x:nvPicPr></x:pic>')
        + anchor.format(0, 20, '<x:pic><x:cNvPr id="2" name="p" descr="logo.png"/></x:pic><dgm:relIds r:dm="r1"/>')
    )
    diagram = "<m><pt modelId='1'><t><p><t>fifth</t></p></t></pt></m>"
    read = saved(
        book,
        {
            "xl/worksheets/_rels/sheet1.xml.rels": relations(("drawing", "../d.xml")),
            "xl/_rels/d.xml.rels": relations(("diagramData", "m.xml")),
            "xl/m.xml": diagram,
            "xl/d.xml": f'<x:wsDr xmlns:x="x" {NAMES}>{drawn}</x:wsDr>',
        },
    )
    assert read.text == "Sheet\n\nWeek: 31 | Guests: 420\n\nPicture: First, a map.\n\nsecond\n\nthird\n\nfourth\n\n- fifth"


def test_a_sheet_that_is_closed_up_keeps_what_is_said_of_its_cells() -> None:
    rows = b'<row r="1">' + cell("A1", b"5") + cell("B1", b"6") + b'</row><row r="900000">' + cell("B900000", b"7") + cell("ZZ900000", b"8") + b"</row>"
    far = unpacked(workbook(rows))
    sheet = next(name for name in far if name.endswith("sheet1.xml"))
    folder, _, name = sheet.rpartition("/")
    far[f"{folder}/_rels/{name}.rels"] = relations(("comments", "../c.xml")).encode()
    far["xl/c.xml"] = b'<comments xmlns="c"><comment ref="ZZ900000"><text><t>Far away.</t></text></comment></comments>'
    assert parse(packed(far), "a.xlsx").text == "a\n\n5 | 6\n\n7 | 8\n\nComment on ZZ900000 (8): Far away."
