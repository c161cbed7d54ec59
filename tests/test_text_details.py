"Markdown, tables of separated values and JSON with every feature of their readers (`ragwb.documents.text`), and their exact text; limits and encodings at their bounds."

import json

import pytest

from ragwb.documents.document import DocumentError
from ragwb.documents.encoding import composed, decode
from ragwb.documents.parsing import parse
from ragwb.documents.text import (
    closed,
    evenness,
    find_delimiter,
    front_matter,
    leaf,
    markdown_headings,
    parse_csv,
    parse_json,
    parse_markdown,
    parse_text,
    record,
    table_start,
    with_named_rows,
)


def test_a_text_may_be_as_long_as_is_allowed_and_no_longer() -> None:
    for read, text in ((parse_text, "12345"), (parse_markdown, "12345"), (parse_json, "12345"), (parse_csv, "12345")):
        assert read(text.encode(), "a", "", max_characters=5).text.strip() == text
        with pytest.raises(DocumentError, match="more than 4 characters of text"):
            read(text.encode(), "a", "", max_characters=4)
    with pytest.raises(DocumentError, match="more than 5 characters of text"):
        parse_json(b'{"a":      1}', "a", "", max_characters=5)  # the file counts, also where its text is shorter


# Markdown.


def test_headings_of_markdown_without_their_marks() -> None:
    text = "# *One* `two` [three](x) &amp; <b>four</b> {#anchor}\r\nUnder\nlined\n---\n\n####### no\n\n```\n# code\n```\n\n#\n\n> ## Quoted {.c}\n\nTitle {x}\n===\n"
    found = markdown_headings(text)
    assert [(heading.level, heading.title) for heading in found] == [(1, "One two three & four"), (2, "Under lined"), (2, "Quoted"), (1, "Title {x}")]
    assert [text[heading.start : heading.start + 5] for heading in found] == ["# *On", "Under", "> ## ", "Title"]
    assert markdown_headings("# " + "*a*" * 400)[0].title == "*a*" * 400 and markdown_headings("# " + "*a* " * 250)[0].title == "a " * 249 + "a"


def test_facts_above_a_markdown_text() -> None:
    matter = "---\ntitle: A  deed\ntags: [x, y]\nmixed: [x, [y]]\ndeep: {a: b}\n5: six\n---\n# Head\n"
    assert front_matter(matter) == ({"title": "A deed", "tags": "x, y", "5": "six"}, len(matter) - len("# Head\n"))
    assert front_matter("---\nprose\n---\n") == front_matter("---\na: b: c\n---\n") == front_matter("x") == ({}, 0) and front_matter("---\na: b\n...") == ({"a": "b"}, 12)
    read = parse(matter.encode(), "d/a.md")
    assert (read.title, read.text, read.metadata, [(h.title, h.start) for h in read.headings]) == (
        "A deed",
        matter,
        {"title": "A deed", "tags": "x, y", "5": "six", "encoding": "utf-8"},
        [("Head", matter.index("# Head"))],
    )
    assert [parse(text.encode(), "d/a.md").title for text in ("# *Head*", "text")] == ["Head", "a.md"]


def test_the_rows_of_a_long_table_have_the_names_of_their_columns() -> None:
    def table(count: int, row: str = "| p{} | 4\\|5 |\r\n") -> str:
        return "| Part | Use |\r\n|:---|---:|\r\n" + "".join(row.format(n) for n in range(count))

    def named(count: int) -> str:
        return "".join(f"Part: p{n} | Use: 4|5\r\n" for n in range(count))

    long = table(80)
    assert with_named_rows(f"Before | it\n{long}\nAfter.") == f"Before | it\n{named(80)}\nAfter."
    assert with_named_rows(f"~~~\n{long}```\n~~~\n\n{long}") == f"~~~\n{long}```\n~~~\n\n{named(80)}", "code is left as it is"
    assert with_named_rows(short := "x" * 1000 + "\n" + table(50)) == short and with_named_rows(long[:999]) == long[:999]
    wide = f"| {'n' * 400} | m |\n|---|---|\n" + "| a | b |\n" * 120
    assert with_named_rows(wide) == wide, "names that are much longer than their cells are not repeated"
    assert with_named_rows("a | b\n--|--\nc | d\n" + "x" * 1000) == "a | b\n--|--\nc | d\n" + "x" * 1000


# Tables.


def test_delimiters_and_where_a_table_starts() -> None:
    assert [find_delimiter(text) for text in ("a,b\n1,2\n", "a;b\n1,5;2,5\n", "a\tb\n1\t2", "a|b\n1|2", "words\nonly", "a,b;c\n1,5;2\n2,5;3\n")] == [",", ";", "\t", "|", ",", ";"]
    assert (evenness("a;1\nb;2;x\nc;3\nlone\n", ";"), evenness("lone", ";")) == ((2, 0.5, 2), (0, 0.0, 0))
    assert [
        table_start(rows)
        for rows in (
            [["Title"], ["a", "b", "c"], ["1", "2", "3"], ["4", "5", "6"]],
            [["a", "b"], ["1", "2"]],
            [["Of", "May", ""], ["a", "b", "c"], ["1", "2", "3"]],
            [["a", "b", ""], ["1", "2", "3"], ["4", "5", "6"]],
            [],
        )
    ] == [1, 0, 1, 0, 0]


def test_tables_of_separated_values() -> None:
    read = parse(b'sep=;\r\nOwner:;Ann\r\nexport\r\n\r\nPart;Price;Since\r\nSeal;42;2025\r\n"Cap; ""red""\nsoft";7;2026\r\n', "a.csv")
    assert read.text == 'Owner: Ann\nexport\n\nPart: Seal | Price: 42 | Since: 2025\nPart: Cap; "red" soft | Price: 7 | Since: 2026'
    assert (read.format, read.metadata, read.remarks) == ("csv", {"encoding": "utf-8"}, "")
    assert parse(b"a\tb\n1\t2\n", "a.csv").format == "tsv" and parse(b"a,b\r1,2\r", "a.csv").text == "a: 1 | b: 2"
    opened = parse(("part,note\n" + "".join(f'p{n},"open {n}\n' for n in range(12))).encode(), "a.csv")
    assert 'part: p11 | note: "open 11' in opened.text and "line 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and more: read as part of the cell" in opened.remarks
    one = parse(b'part,note\na,"open\nb,"shut"\n', "a.csv")
    assert one.text == 'part: a | note: "open\npart: b | note: shut' and one.remarks == "quotation mark left open in line 2: read as part of the cell"


# JSON.


def test_values_of_json_as_rows_and_headings() -> None:
    assert [leaf(value) for value in (None, True, False, "x", "1.0", [], ["a", None, True], ["a", ["b"]], {})] == ["", "true", "false", "x", "1.0", "", "a, , true", None, None]
    assert record({"a": {"b": {"c": "1"}, "d": ["2", "3"]}, "e": None}) == {"a.b.c": "1", "a.d": "2, 3", "e": ""} and record({"a": [{"b": "1"}]}) is None
    value = {"list": [{"a": 1, "b": {"c": 2.50}}, {"a": 3}], "name": "Pump", "deep": {"x": {"y": {"z": [[1], [2]]}}, "w": True}, "mixed": [{"k": [{"v": 1}]}, 5], "none": {}}
    read = parse(json.dumps(value).encode(), "d/a.json")
    assert read.text == (
        "name: Pump\n\nlist\n\na: 1 | b.c: 2.5\na: 3\n\ndeep\n\ndeep.w: true\n\ndeep.x\n\ndeep.x.y\n\ndeep.x.y.z\n\n"
        "deep.x.y.z[0]: 1\ndeep.x.y.z[1]: 2\n\nmixed\n\nmixed[1]: 5\n\nmixed[0]\n\n"
        "mixed[0].k\n\nv: 1\n\nnone"
    )
    assert [(heading.level, heading.title) for heading in read.headings][:5] == [(1, "list"), (1, "deep"), (2, "deep.x"), (3, "deep.x.y"), (4, "deep.x.y.z")]
    assert (read.title, read.format) == ("a.json", "json") and parse(b'{"title": "T", "a": 1}', "a.json").title == "T" and parse(b'{"title": ["x"]}', "a.json").title == "a.json"


def test_damaged_and_many_values_of_json() -> None:
    cuts = {
        '{"a": 1, "b": [2, {"c": 3}, 4': '{"a": 1, "b": [2, {"c": 3}]}',
        '{"a": "x, y", "b": "cut': '{"a": "x, y"}',
        "[1, 2": "[1]",
        '[{"a": "\\""}, {': '[{"a": "\\""}]',
        "]": "]",
        "": "",
    }
    assert {cut: closed(cut) for cut in cuts} == cuts
    read = parse(b'{"a": 1}\n\n{"a": 2} {"a": 3}\nbad\n{"a": 4}\n{"a"', "a.jsonl")
    assert (read.text, read.format, read.remarks) == ("a: 1\na: 2\na: 3\na: 4", "jsonl", "2 of 6 lines left out, no JSON values: line 4, 6")
    assert parse(b'{"a": 1}{"a": 2}', "a.json").format == "jsonl" and parse(b'{"a": 1}', "a.jsonl").format == "json"
    cut = parse(b'[{"a": 1},\n{"a": 2},\n{"a', "a.json")
    assert (cut.text, cut.remarks) == ("a: 1\na: 2", "cut off in line 3: what is whole above it is read")
    for data, name, said in ((b"{nothing", "a.json", "no valid JSON: .* in line 1, column 2"), (b"x\ny\n5\n", "a.jsonl", "line 1 is no JSON value")):
        with pytest.raises(DocumentError, match=said):
            parse(data, name)


# Encodings.


def test_text_in_marked_declared_and_damaged_encodings() -> None:
    text = "Größe: 5 €\n" * 20
    for encoding, name in (("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-32", "utf-32")):
        read, found, remark = decode(text.encode(encoding), "a")
        assert (read, remark) == (text, "") and found.startswith(name)
    assert decode(text.encode("utf-16-le"), "a")[:2] == (text, "utf-16-le") and decode(text.encode("utf-16-be"), "a")[:2] == (text, "utf-16-be")
    assert decode("ж".encode("koi8-r"), "a", "koi8-r")[:2] == ("ж", "koi8-r") and decode("“x”".encode("cp1252"), "a", "ISO-8859-1")[0] == "“x”"
    assert decode("漢字".encode("iso2022_jp"), "a", "iso-2022-jp")[0] == "漢字" and decode(b"plain", "a", "punycode")[:2] == ("plain", "utf-8")
    damaged = "ä" * 60
    assert decode(b"\xef\xbb\xbf" + damaged.encode() + b"\xff", "a")[2] == "1 damaged character replaced by \ufffd"
    assert decode(damaged.encode() + b"\xff \xff", "a")[2] == "2 damaged characters replaced by \ufffd"
    with pytest.raises(DocumentError, match="begins like utf-8"):
        decode(b"\xef\xbb\xbfabcdefgh\xff", "a")
    for zeros, fine in ((1, True), (2, True), (3, False)):
        if fine:
            assert decode(b"x" * (1000 - zeros) + b"\x01" * zeros, "a")[0]
        else:
            with pytest.raises(DocumentError, match="binary data, not text"):
                decode(b"x" * (1000 - zeros) + b"\x01" * zeros, "a")
    apart = "u\u0308ber e\u0301"
    assert composed(apart) == "über é" and composed("ü" + apart) == "ü" + apart and composed("plain") == "plain"
