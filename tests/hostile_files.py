"Files that cost their reader more than they weigh, each under a megabyte: kinds of attack by parameters, not single cases."

# ruff: noqa: E501  # long lines are long bytes
import base64
import io
import json
import zipfile
import zlib
from collections.abc import Callable

Maker = Callable[[], bytes]
KINDS: dict[str, Maker] = {}  # file name -> its bytes


def add(name: str, make: Maker) -> None:
    KINDS[name] = make


def archive(entries: dict[str, bytes], stored: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED, compresslevel=None if stored else 9) as packed:
        for name, data in entries.items():
            packed.writestr(name, data)
    return file.getvalue()


# Text and Markdown: long runs of one sign, deep nesting, unclosed marks.

for size in (50_000, 900_000):
    for name, sign in {"dots": ".", "blanks": " ", "nuls": "\0", "letters": "a", "digits": "1", "underscores": "_", "quotes": '"', "brackets": "[", "commas": ", ", "newlines": "\n",
                       "capitals": "A. ", "questions": "?! ", "dashes": "- ", "accents": "a\u0301", "zero-width": "\u200b", "flags": "\U0001f1e9"}.items():
        add(f"{name}-{size}.txt", lambda sign=sign, size=size: b"a " + (sign * (size // len(sign.encode()))).encode() + b" b")  # type: ignore[misc]
for size in (20_000, 400_000):
    add(f"heading-blanks-{size}.md", lambda size=size: b"# a" + b" " * size + b"b\n\ntext")  # type: ignore[misc]
    add(f"heading-brace-{size}.md", lambda size=size: b"# a" + b" {#" * (size // 3) + b"\n\ntext")  # type: ignore[misc]
    for name, sign in {"quotes": "> ", "lists": "- ", "stars": "*a ", "links": "[a](", "images": "![", "ticks": "`", "html": "<a ", "entities": "&amp", "tables": "|", "hashes": "# a\n", "fences": "```\n"}.items():
        add(f"{name}-{size}.md", lambda sign=sign, size=size: (sign * (size // len(sign))).encode() + b" text")  # type: ignore[misc]
add("indents.md", lambda: "\n".join(" " * n + "- a" for n in range(1_200)).encode())
add("yaml-aliases.md", lambda: b"---\na: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % (n, n, *(n - 1,) * 9) for n in range(98, 110)) + b"---\ntext\n")
add("yaml-nested.md", lambda: b"---\na: " + b"[" * 19_000 + b"\n---\ntext\n")
add("attack-words.txt", lambda: ("ignore " + "_" * 3_000 + "! Copy to: " + "_" * 60 + "\n").encode() * 200)
add("mail-addresses.txt", lambda: b"a.b-c@" * 150_000)
add("card-numbers.txt", lambda: b"4111 1111 1111 1111 1" * 40_000)

# JSON and CSV.

add("long-keys.json", lambda: json.dumps({"k" * 1_400 + str(n): {"a": {"b": [{"c": n}] * 3}} for n in range(200)}).encode())
for depth in (900, 9_000, 400_000):
    add(f"arrays-{depth}.json", lambda depth=depth: b"[" * depth + b"]" * depth)  # type: ignore[misc]
add("objects-900.json", lambda: b'{"key of some length":' * 900 + b"1" + b"}" * 900)
add("objects-wide-and-deep.json", lambda: b'{"' + b"k" * 300 + b'":[' + b",".join(b'{"' + b"x" * 300 + b'":{"' + b"y" * 300 + b'":{"z":1}}}' for _ in range(1_000)) + b"]}")
add("huge-number.json", lambda: b'{"a":' + b"9" * 900_000 + b"}")
add("many-values.json", lambda: b"[" + b"1," * 450_000 + b"1]")
add("many-lines.jsonl", lambda: b"{}\n" * 300_000 + b'{"a":1}\n')
add("ragged.json", lambda: json.dumps([{f"{n}-{m}": 1 for m in range(20)} for n in range(2_000)]).encode())
add("columns-100000.csv", lambda: b",".join(b"c%d" % n for n in range(100_000)) + b"\n" + b"1," * 99_999 + b"1\n")
add("columns-wide-rows.csv", lambda: b",".join(b"a column with a name %d" % n for n in range(4_000)) + b"\n" + (b"1," * 3_999 + b"1\n") * 80)
add("long-names.csv", lambda: b",".join(b"n" * 70 + b"%d" % n for n in range(60)) + b"\n" + b"\n".join(b"1," * 59 + b"1" for _ in range(6_000)))
add("quotes.csv", lambda: b'a,b\n"' + b'""' * 400_000)
add("delimiters.csv", lambda: b";,\t|" * 200_000)
add("rows.csv", lambda: b"a,b\n" + b"1,2\n" * 200_000)

# HTML.

add("spans.html", lambda: b"<table>" + b"<tr>" + b"<td colspan=100 rowspan=100>x" * 1_400 + b"<tr><td>a<td>b" * 3_000)
add("spans-rows.html", lambda: b"<table>" + (b"<tr>" + b"<td colspan=100 rowspan=100>cell" * 10) * 300)
add("spans-text.html", lambda: b"<table><tr><td>a<td colspan=100 rowspan=100>" + b"word " * 20_000 + b"<tr><td>b<td>c" * 100)
for name, tag in {"div": "<div>", "ul": "<ul><li>", "table": "<table><tr><td>", "blockquote": "<blockquote>", "b": "<b>", "a": "<a>", "header": "<header>", "font": "<font color=red>", "svg": "<svg>", "select": "<select>"}.items():
    add(f"nested-{name}.html", lambda tag=tag: (tag * (400_000 // len(tag))).encode() + b"text " * 40)  # type: ignore[misc]
add("attributes.html", lambda: b"<p " + b" ".join(b"a%d=b" % n for n in range(100_000)) + b">text " * 30)
add("entities.html", lambda: b"<p>" + b"&NotEqualTilde;" * 60_000)
add("doctype.html", lambda: b"<!DOCTYPE html [" + b"<!ENTITY a 'b'>" * 50_000 + b"]><p>" + b"text " * 40)
add("comments.html", lambda: b"<!--" * 200_000 + b"<p>" + b"text " * 40)
add("asides.html", lambda: b"<body>" + b"<aside><h1>a" * 60_000)
add("lists-numbered.html", lambda: b"<ol start=99999999999999999999>" * 20_000 + b"<li>text " * 1_000)

# Mail.


def mail(headers: bytes, body: bytes = b"text\n") -> bytes:
    return b"From: a@b.example\n" + headers + b"\n\n" + body


add("subject-words.eml", lambda: mail(b"Subject: " + b"=?utf-8?q?a?= " * 70_000))
add("subject-long.eml", lambda: mail(b"Subject: " + b"seal " * 190_000))
add("subject-folded.eml", lambda: mail(b"Subject: a\n " + b"b\n " * 200_000))
add("subject-b64.eml", lambda: mail(b"Subject: " + b"=?utf-8?b?" + base64.b64encode(b"a" * 600_000) + b"?="))
add("to-many.eml", lambda: mail(b"To: " + b",".join(b"a%d@b.example" % n for n in range(50_000))))
add("to-groups.eml", lambda: mail(b"To: " + b"a:(" * 200_000))
add("to-comments.eml", lambda: mail(b"To: " + b"(" * 300_000 + b"a@b.example"))
add("headers-many.eml", lambda: mail(b"\n".join(b"X-%d: a" % n for n in range(60_000))))
add("nested-500.eml", lambda: b"Content-Type: message/rfc822\n\n" * 500 + b"Subject: a\n\ntext\n")
add("nested-20000.eml", lambda: b"Content-Type: message/rfc822\n\n" * 20_000 + b"Subject: a\n\ntext\n")
add("multipart-nested.eml", lambda: b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3_000)) + b"\n\ntext\n")
add("multipart-many.eml", lambda: mail(b"Content-Type: multipart/mixed; boundary=x", b"--x\n\na\n" * 80_000 + b"--x--\n"))
add("parameters.eml", lambda: mail(b"Content-Type: text/plain; " + b"; ".join(b"a*%d=b" % n for n in range(50_000))))
add("date.eml", lambda: mail(b"Date: " + b"1 " * 300_000))

# Archives: Word, PowerPoint, Excel, EPUB.

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
TYPES = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/%s" ContentType="application/vnd.openxmlformats-officedocument.%s.main+xml"/></Types>'
RELATION = b'<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="%s"/></Relationships>'


def word(body: bytes, before: bytes = b"") -> bytes:
    document = before + b'<w:document xmlns:w="' + WORD.encode() + b'"><w:body>' + body + b"</w:body></w:document>"
    return archive({"[Content_Types].xml": TYPES % (b"word/document.xml", b"wordprocessingml.document"), "_rels/.rels": RELATION % b"word/document.xml", "word/document.xml": document})


def paragraph(text: bytes) -> bytes:
    return b"<w:p><w:r><w:t>" + text + b"</w:t></w:r></w:p>"


BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaaaaaaaaaaaa">' + b"".join(b'<!ENTITY %c "%s">' % (n, b"&%c;" % (n - 1) * 10) for n in range(98, 110)) + b"]>"
add("bomb-19mb.docx", lambda: word(paragraph(b"a" * 19_000_000)))
add("bomb-190mb.docx", lambda: word(paragraph(b"a" * 190_000_000)))
add("paragraphs.docx", lambda: word(paragraph(b"a") * 250_000))
add("entities.docx", lambda: word(paragraph(b"&m;"), BOMB))
add("nested-tables.docx", lambda: word(b"<w:tbl><w:tr><w:tc>" * 3_000 + paragraph(b"a") + b"</w:tc></w:tr></w:tbl>" * 3_000))
add("nested-runs.docx", lambda: word(b"<w:p>" + b"<w:ins>" * 60_000 + b"<w:r><w:t>a</w:t></w:r>" + b"</w:ins>" * 60_000 + b"</w:p>"))
add("grid-span.docx", lambda: word((b"<w:tbl>" + b"<w:tr><w:tc><w:tcPr><w:gridSpan w:val='10000'/></w:tcPr>" + paragraph(b"a") + b"</w:tc></w:tr>" * 1 + b"</w:tbl>") * 500))
add("table-wide.docx", lambda: word(b"<w:tbl>" + (b"<w:tr>" + (b"<w:tc>" + paragraph(b"a") + b"</w:tc>") * 300 + b"</w:tr>") * 200 + b"</w:tbl>"))
add("entries.docx", lambda: archive({"word/document.xml": b"<a/>"} | {f"a{n}": b"" for n in range(9_000)}))

SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%s</sheetData>%s</worksheet>'


def workbook(rows: bytes, after: bytes = b"", before: bytes = b"", strings: bytes = b"") -> bytes:
    main = b'<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>'
    relations = (RELATION % b"worksheets/sheet1.xml").replace(b"/officeDocument\"", b"/worksheet\"")
    relations = relations.replace(b"</Relationships>", b'<Relationship Id="r2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings" Target="sharedStrings.xml"/></Relationships>') if strings else relations
    entries = {"[Content_Types].xml": TYPES % (b"xl/workbook.xml", b"spreadsheetml.sheet"), "_rels/.rels": RELATION % b"xl/workbook.xml", "xl/workbook.xml": main,
               "xl/_rels/workbook.xml.rels": relations, "xl/worksheets/sheet1.xml": before + SHEET % (rows, after)}
    return archive(entries | ({"xl/sharedStrings.xml": b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>' + strings + b"</t></si></sst>"} if strings else {}))


def cell(place: str, value: bytes = b"1") -> bytes:
    return b'<c r="%s"><v>%s</v></c>' % (place.encode(), value)


add("stray.xlsx", lambda: workbook(b'<row r="1">' + cell("A1") + b'</row><row r="1048576">' + cell("XFD1048576") + b"</row>"))
LETTERS = [(first + second).strip() for first in " ABCDEFGHIJKLMNOPQRSTUVWXYZ" for second in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
add("diagonal.xlsx", lambda: workbook(b"".join(b'<row r="%d">' % (n * 900) + cell(f"{LETTERS[n % 700]}{n * 900}") + b"</row>" for n in range(1, 1100))))
add("stray-small.xlsx", lambda: workbook(b'<row r="1">' + cell("A1") + b'</row><row r="19000">' + cell("ALL19000") + b"</row>"))
add("stray-unplaced.xlsx", lambda: workbook(b"<row>" + b"<c><v>1</v></c>" * 16_000 + b"</row>" + b"<row><c><v>1</v></c></row>" * 40_000))
add("merged.xlsx", lambda: workbook(b'<row r="1">' + cell("A1") + b"</row>", b'<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>'))
add("merged-many.xlsx", lambda: workbook(b'<row r="1">' + cell("A1") + b"</row>", b"<mergeCells>" + b'<mergeCell ref="A1:A1000000"/>' * 50 + b"</mergeCells>"))
add("shared-string.xlsx", lambda: workbook(b"".join(b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (n, n) for n in range(1, 20_000)), strings=b"a" * 30_000))
add("cells.xlsx", lambda: workbook(b"".join(b'<row r="%d">' % n + b"".join(cell(f"{c}{n}") for c in "ABCDEFGH") + b"</row>" for n in range(1, 25_000))))
add("entities.xlsx", lambda: workbook(b'<row r="1"><c r="A1" t="str"><v>&m;</v></c></row>', before=BOMB))
add("long-cell.xlsx", lambda: workbook(b'<row r="1"><c r="A1" t="str"><v>' + b"a" * 15_000_000 + b"</v></c></row>"))


def book(chapters: dict[str, bytes], spine: list[str], package_before: bytes = b"") -> bytes:
    items = "".join(f'<item id="i{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(chapters))
    at = {name: n for n, name in enumerate(chapters)}
    spined = "".join(f'<itemref idref="i{at[name]}"/>' for name in spine)
    package = f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{spined}</spine></package>'
    container = b'<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="p.opf"/></rootfiles></container>'
    return archive({"META-INF/container.xml": container, "p.opf": package_before + package.encode(), **chapters})


add("spine-50000.epub", lambda: book({"a.xhtml": b"<html><body><p>" + b"text " * 100 + b"</p></body></html>"}, ["a.xhtml"] * 50_000))
add("spine-nested.epub", lambda: book({"a.xhtml": b"<html><body>" + b"<div>" * 5_000 + b"text"}, ["a.xhtml"] * 5_000))
add("chapter-18mb.epub", lambda: book({"a.xhtml": b"<html><body><p>" + b"text " * 3_600_000 + b"</p></body></html>"}, ["a.xhtml"]))
add("chapter-3mb.epub", lambda: book({"a.xhtml": b"<html><body><p>" + b"text " * 600_000 + b"</p></body></html>"}, ["a.xhtml"]))
add("entities.epub", lambda: book({"a.xhtml": BOMB + b"<html><body><p>&m;</p></body></html>"}, ["a.xhtml"]))
add("package-entities.epub", lambda: book({"a.xhtml": b"<p>text</p>"}, ["a.xhtml"], BOMB))
add("chapters.epub", lambda: book({f"{n}.xhtml": b"<p>text</p>" for n in range(4_000)}, [f"{n}.xhtml" for n in range(4_000)]))
add("doctypes.epub", lambda: book({"a.xhtml": b"<!DOCTYPE a [" * 60_000 + b"<p>text</p>"}, ["a.xhtml"]))

SLIDE = b'<p:sld xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><p:cSld><p:spTree>%s</p:spTree></p:cSld></p:sld>'


def slides(shapes: bytes) -> bytes:
    import pptx

    file, made = io.BytesIO(), pptx.Presentation()
    made.slides.add_slide(made.slide_layouts[6])
    made.save(file)
    with zipfile.ZipFile(file) as packed:
        entries = {name: packed.read(name) for name in packed.namelist()}
    entries["ppt/slides/slide1.xml"] = SLIDE % shapes
    return archive(entries)


GROUP = b"<p:grpSp><p:nvGrpSpPr><p:cNvPr id='1' name='a'/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>"
SHAPE = b"<p:sp><p:nvSpPr><p:cNvPr id='2' name='a'/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:t>%s</a:t></a:r></a:p></p:txBody></p:sp>"
add("groups.pptx", lambda: slides(GROUP * 3_000 + SHAPE % b"text" + b"</p:grpSp>" * 3_000))
add("shapes.pptx", lambda: slides(SHAPE % b"text" * 12_000))
add("long-shape.pptx", lambda: slides(SHAPE % (b"a" * 15_000_000)))

# RTF.

add("groups.rtf", lambda: b"{\\rtf1 " + b"{" * 400_000 + b"text" + b"}" * 400_000)
add("controls.rtf", lambda: b"{\\rtf1 " + b"\\par\\pard" * 90_000 + b"text}")
add("blank-controls.rtf", lambda: b"{\\rtf1 \\pard" + b"\\b \\* " * 120_000 + b"!text\\par}")
add("escapes.rtf", lambda: b"{\\rtf1 " + b"\\u65535?" * 100_000 + b"}")
add("cells.rtf", lambda: b"{\\rtf1 \\trowd" + b"a\\cell " * 120_000 + b"\\row}")
add("binary.rtf", lambda: b"{\\rtf1 \\bin999999999 " + b"a" * 500_000 + b"}")
add("title.rtf", lambda: b"{\\rtf1 " + b"{\\info " * 100_000 + b"text}")

# PDF.


def pdf(objects: dict[int, bytes], root: int = 1) -> bytes:
    body = b"%PDF-1.7\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % each for each in objects.items())
    return body + b"trailer<</Root %d 0 R/Size %d>>\n%%%%EOF\n" % (root, max(objects) + 1)


def stream(data: bytes, facts: bytes = b"") -> bytes:
    packed = zlib.compress(data, 9)
    return b"<<%s/Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (facts, len(packed), packed)


FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def page(content: bytes, box: bytes = b"0 0 600 800", more: bytes = b"", others: dict[int, bytes] | None = None) -> bytes:
    resources = b"/Resources<</Font<</F 5 0 R>>%s>>" % more
    objects = {1: b"<</Type/Catalog/Pages 2 0 R>>", 2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>", 3: b"<</Type/Page/Parent 2 0 R/MediaBox[%s]%s/Contents 4 0 R>>" % (box, resources), 4: stream(content), 5: FONT}
    return pdf(objects | (others or {}))


WORDS = b"BT /F 12 Tf 20 50 Td (The seal cover takes 12 Nm.) Tj ET "


def forms(depth: int, width: int, drawn: bytes) -> bytes:
    "Forms that each draw the next one several times."
    nested = {10 + n: stream(b"/X Do " * width, b"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</XObject<</X %d 0 R>>>>" % (11 + n)) for n in range(depth)}
    return page(WORDS + b"/X Do", more=b"/XObject<</X 10 0 R>>", others=nested | {10 + depth: stream(drawn, b"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</Font<</F 5 0 R>>>>")})


VIEWED = ("tall.pdf", "huge.pdf", "forms-draw.pdf", "forms-text.pdf", "paths.pdf", "shading.pdf", "pattern.pdf", "image.pdf")  # rendered too
add("tall.pdf", lambda: page(WORDS, b"0 0 200 10000000"))
add("huge.pdf", lambda: page(WORDS, b"0 0 1000000 1000000"))
add("forms-draw.pdf", lambda: forms(10, 8, b"0 0 600 800 re f "))
add("forms-text.pdf", lambda: forms(8, 8, WORDS))
add("paths.pdf", lambda: page(WORDS + b"0 0 m 600 800 l 300 2 l 5 700 l h f " * 200_000))
add("shading.pdf", lambda: page(WORDS + b"/S sh " * 20_000, more=b"/Shading<</S<</ShadingType 2/ColorSpace/DeviceRGB/Coords[0 0 600 800]/Extend[true true]/Function<</FunctionType 2/Domain[0 1]/C0[1 0 0]/C1[0 0 1]/N 1>>>>>>"))
add("pattern.pdf", lambda: page(WORDS + b"/Pattern cs /P scn 0 0 600 800 re f", more=b"/Pattern<</P 10 0 R>>",
                               others={10: stream(b"0 0 1 1 re f", b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 .01 .01]/XStep .01/YStep .01/Resources<<>>")}))
add("image.pdf", lambda: page(WORDS + b"600 0 0 800 0 0 cm /I Do", more=b"/XObject<</I 10 0 R>>",
                             others={10: stream(bytes(60_000_000), b"/Type/XObject/Subtype/Image/Width 60000/Height 8000/BitsPerComponent 1/ColorSpace/DeviceGray")}))
add("form-loop.pdf", lambda: page(WORDS + b"/X Do", more=b"/XObject<</X 10 0 R>>", others={10: stream(b"/X Do /X Do", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 10 0 R>>>>")}))
add("page-loop.pdf", lambda: pdf({1: b"<</Type/Catalog/Pages 2 0 R>>", 2: b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 100000>>"}))
add("page-count.pdf", lambda: pdf({1: b"<</Type/Catalog/Pages 2 0 R>>", 2: b"<</Type/Pages/Kids[3 0 R]/Count 9999>>", 3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"}))
add("pages-same.pdf", lambda: pdf({1: b"<</Type/Catalog/Pages 2 0 R>>", 2: b"<</Type/Pages/Kids[" + b"3 0 R " * 9_000 + b"]/Count 9000>>",
                                   3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F 5 0 R>>>>/Contents 4 0 R>>", 4: stream(WORDS * 40), 5: FONT}))
add("outline-loop.pdf", lambda: pdf({1: b"<</Type/Catalog/Pages 2 0 R/Outlines 6 0 R>>", 2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
                                     3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F 5 0 R>>>>/Contents 4 0 R>>", 4: stream(WORDS), 5: FONT,
                                     6: b"<</First 7 0 R/Last 7 0 R>>", 7: b"<</Title(a)/Parent 6 0 R/Next 7 0 R/First 7 0 R>>"}))
add("content-bomb.pdf", lambda: page(b" " * 190_000_000 + WORDS))
add("filters.pdf", lambda: pdf({1: b"<</Type/Catalog/Pages 2 0 R>>", 2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>", 3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R>>",
                                4: (lambda data: b"<</Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n%s\nendstream" % (len(data), data))(zlib.compress(zlib.compress(b" " * 500_000_000, 9), 9))}))
add("letters.pdf", lambda: page(b"BT /F 1 Tf " + b"(" + b"a" * 3_000_000 + b") Tj ET"))
add("letters-apart.pdf", lambda: page(b"BT /F 2 Tf " + b"".join(b"1 0 0 1 %d %d Tm (a) Tj " % (n % 599, n // 599 % 799) for n in range(200_000)) + b"ET"))
add("object-stream.pdf", lambda: pdf({1: b"<</Type/Catalog/Pages 2 0 R>>", 2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>", 3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
                                      6: stream(b"".join(b"%d 0 " % n for n in range(100, 400_100)) + b"0 " * 400_000, b"/Type/ObjStm/N 400000/First 4000000")}))
add("nested-arrays.pdf", lambda: pdf({1: b"<</Type/Catalog/Pages 2 0 R/A " + b"[" * 400_000 + b">>", 2: b"<</Type/Pages/Kids[]/Count 0>>"}))
add("names.pdf", lambda: page(WORDS, more=b"/ExtGState<<" + b"".join(b"/a%d<</ca 1>>" % n for n in range(40_000)) + b">>"))

FAST = (  # kinds that are over in a second, for every run of the tests; all others take up to the limit
    "blanks-50000.txt", "nuls-900000.txt", "flags-900000.txt", "questions-900000.txt", "lists-20000.md", "links-400000.md", "yaml-aliases.md", "arrays-400000.json",
    "objects-900.json", "huge-number.json", "long-names.csv", "nested-table.html", "comments.html", "subject-b64.eml", "nested-20000.eml", "bomb-190mb.docx", "nested-runs.docx",
    "stray.xlsx", "stray-unplaced.xlsx", "spine-50000.epub", "chapter-3mb.epub", "entities.epub", "groups.pptx", "groups.rtf", "tall.pdf", "page-loop.pdf", "outline-loop.pdf", "filters.pdf",
)
