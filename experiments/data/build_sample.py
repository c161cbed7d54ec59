"""Build the sample corpus: text sources in `sample/src/` become office documents in `sample/docs/`.

    python experiments/data/build_sample.py                    build the documents and questions.jsonl
    python experiments/data/build_sample.py --check            exit 1 if the committed files differ from a fresh build
    python experiments/data/build_sample.py --check-questions  exit 1 if the golden questions do not hold against the documents

A source `policies/travel-2025.pdf.md` is written in one small Markdown dialect (front matter, headings, paragraphs, bullet and
numbered lists, tables, `Note:` paragraphs) and becomes `policies/travel-2025.pdf`. A source without the extra `.md` (CSV, JSON, TXT,
MD) is copied as it is. Building twice gives the same bytes.

`questions.jsonl` is `questions.src.jsonl` with each quote as ragwb reads it in the built document: `start`, `end` and the text between.
"""

from __future__ import annotations

import argparse
import html
import io
import json
import re
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from pathlib import Path
from typing import Any

import Stemmer
from docx import Document
from docx.shared import Cm, Pt, RGBColor
from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from pptx import Presentation
from pptx.util import Emu
from pptx.util import Pt as SlidePt
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, CondPageBreak, Flowable, Frame, NextPageTemplate, PageBreak, PageTemplate, Paragraph, Spacer, Table
from reportlab.platypus.tableofcontents import TableOfContents

from ragwb.documents.document import Document as ParsedDocument
from ragwb.documents.document import DocumentError
from ragwb.documents.parsing import parse
from ragwb.evaluation.metrics import FACTS, occurs
from ragwb.evaluation.quotes import AnchorError, anchor

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sample" / "src"
DOCUMENTS = HERE / "sample" / "docs"
QUESTIONS = HERE / "sample" / "questions.src.jsonl"
ANCHORED = HERE / "sample" / "questions.jsonl"

COMPANY = "Orrinmere Pump & Valve"
FIXED_TIME = datetime(2025, 6, 2, 8, 0, 0)
ZIP_TIME = (2025, 6, 2, 8, 0, 0)
BLUE = colors.HexColor("#17486b")
PALE = colors.HexColor("#e8eef3")
GREY = colors.HexColor("#5d6770")

KINDS = {"semantic": 120, "exact code": 50, "table": 45, "two documents": 20, "follow-up": 20, "unanswerable": 70}  # questions at least
SPLITS = ("dev", "test")
ANSWERABLE_STYLES = ("plain", "paraphrase")
UNANSWERABLE_STYLES = ("near miss", "off topic")
PLAIN_SHARE = 0.6  # of a question's content words that stand in its evidence, or in a title or heading above it


# ---------------------------------------------------------------- the Markdown dialect


@dataclass
class Block:
    """One piece of a document: a heading (h1, h2, h3), paragraph (p), list (ul, ol), table or note."""

    kind: str
    text: str = ""
    items: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


Meta = dict[str, str]


def split_front_matter(source: str) -> tuple[Meta, str]:
    """The `key: value` lines between two `---` lines, and the rest."""
    match = re.match(r"---\n(.*?)\n---\n", source, re.DOTALL)
    if not match:
        return {}, source
    meta = {}
    for line in match.group(1).splitlines():
        key, _, value = line.partition(":")
        meta[key.strip()] = value.strip()
    return meta, source[match.end() :]


def table_cells(line: str) -> list[str]:
    """The cells of one `| a | b |` line."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def parse_blocks(body: str) -> list[Block]:
    """Read the dialect: blank lines separate blocks; a list item is one line; a table's second line is its rule."""
    blocks: list[Block] = []
    for chunk in re.split(r"\n\s*\n", body.strip()):
        lines = [line for line in chunk.splitlines() if line.strip()]
        while lines and (match := re.match(r"(#{1,3}) +(.*)", lines[0])):
            blocks.append(Block(f"h{len(match.group(1))}", match.group(2).strip()))
            lines = lines[1:]
        if not lines:
            continue
        if lines[0].startswith("|"):
            rows = [table_cells(line) for line in lines]
            blocks.append(Block("table", rows=[row for row in rows if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]))
        elif all(line.startswith("- ") for line in lines):
            blocks.append(Block("ul", items=[line[2:].strip() for line in lines]))
        elif all(re.match(r"\d+\. ", line) for line in lines):
            blocks.append(Block("ol", items=[line.split(". ", 1)[1].strip() for line in lines]))
        else:
            text = " ".join(line.strip() for line in lines)
            blocks.append(Block("note", text) if text.startswith(("Note:", "Warning:", "Speaker notes:")) else Block("p", text))
    return blocks


def plain(text: str) -> str:
    """The text without the dialect's inline marks."""
    return text.replace("**", "").replace("`", "")


def inline_html(text: str) -> str:
    """The dialect's inline marks as the tags reportlab, XHTML and HTML share."""
    return re.sub(r"`(.+?)`", r"\1", re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html.escape(text, quote=False)))


# ---------------------------------------------------------------- PDF

DIGRAPHS = {"th", "sh", "ch", "ph", "ck", "gh", "wh", "qu", "ng"}


def soft_hyphens(text: str) -> str:
    """Put soft hyphens into long words, so that columns break words at line ends as a typesetter would."""

    def one(match: re.Match[str]) -> str:
        word = match.group(0)
        cuts = set()
        for i in range(3, len(word) - 3):
            vowels = word[i - 2] in "aeiou" and word[i + 1] in "aeiou"
            if vowels and word[i - 1] not in "aeiou" and word[i] not in "aeiou" and word[i - 1 : i + 1] not in DIGRAPHS:
                cuts.add(i)
            if word[i:] in {"tion", "tions", "ment", "ments", "ness", "tional"}:
                cuts.add(i)
        return "".join(("\u00ad" if i in cuts else "") + letter for i, letter in enumerate(word))

    return re.sub(r"\b[a-z]{8,}\b", one, text)


class NumberedCanvas(Canvas):
    """A canvas that knows the number of pages when it writes "Page 3 of 27"."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for state in self._pages:
            self.__dict__.update(state)
            self.setFont("Helvetica", 7.5)
            self.setFillColor(GREY)
            self.drawRightString(A4[0] - 20 * mm, 11 * mm, f"Page {self._pageNumber} of {len(self._pages)}")
            super().showPage()
        super().save()


class PdfDocument(BaseDocTemplate):
    """Running header and footer, one or two columns, an outline, a table of contents."""

    def __init__(self, target: io.BytesIO, meta: Meta) -> None:
        super().__init__(
            target, pagesize=A4, leftMargin=20 * mm, rightMargin=20 * mm, topMargin=24 * mm, bottomMargin=20 * mm,
            title=meta["title"], author=COMPANY, subject=meta.get("subject", ""), creator="build_sample.py", invariant=1,
        )  # fmt: skip
        self.meta = meta
        width, height = A4[0] - 40 * mm, A4[1] - 44 * mm
        one = [Frame(20 * mm, 20 * mm, width, height, 0, 0, 0, 0, id="whole")]
        gap = 7 * mm
        half = (width - gap) / 2
        # the first page of a two-column document keeps room for its title block
        first_height = height - float(meta.get("title_height", "34")) * mm
        first = [Frame(20 * mm, 20 * mm + first_height, width, height - first_height, 0, 0, 0, 0, id="title")]
        first += [Frame(20 * mm + i * (half + gap), 20 * mm, half, first_height, 0, 0, 0, 0, id=f"first{i}") for i in (0, 1)]
        both = [Frame(20 * mm + i * (half + gap), 20 * mm, half, height, 0, 0, 0, 0, id=f"column{i}") for i in (0, 1)]
        templates = {"one": one, "first": first, "two": both}
        order = ["first", "two"] if meta.get("columns") == "2" else ["one"]
        self.addPageTemplates([PageTemplate(id=name, frames=templates[name], onPage=self.draw_page) for name in order])

    def draw_page(self, canvas: Canvas, _: BaseDocTemplate) -> None:
        """The running header and footer."""
        canvas.saveState()
        canvas.setFont("Helvetica-Bold", 8)
        canvas.setFillColor(BLUE)
        canvas.drawString(20 * mm, A4[1] - 14 * mm, COMPANY)
        canvas.setFont("Helvetica", 7.5)
        canvas.setFillColor(GREY)
        canvas.drawRightString(A4[0] - 20 * mm, A4[1] - 14 * mm, self.meta.get("header", self.meta["title"]))
        canvas.setStrokeColor(BLUE)
        canvas.setLineWidth(0.6)
        canvas.line(20 * mm, A4[1] - 16.5 * mm, A4[0] - 20 * mm, A4[1] - 16.5 * mm)
        canvas.drawString(20 * mm, 11 * mm, self.meta.get("footer", ""))
        canvas.restoreState()

    def afterFlowable(self, flowable: Flowable) -> None:
        """Tell the table of contents and the outline about a heading."""
        style = getattr(getattr(flowable, "style", None), "name", "")
        if style in {"h1", "h2"} and isinstance(flowable, Paragraph):
            level = int(style[1]) - 1
            key = f"heading-{self.seq.nextf('heading')}"
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(flowable.getPlainText().replace("\u00ad", ""), key, level, closed=True)
            self.notify("TOCEntry", (level, flowable.getPlainText().replace("\u00ad", ""), self.page, key))


def pdf_styles(size: float, justify: bool) -> dict[str, ParagraphStyle]:
    """The paragraph styles of a PDF whose body text is `size` points."""
    base = ParagraphStyle(
        "p", fontName="Helvetica", fontSize=size, leading=size * 1.42, spaceAfter=size * 0.6, alignment=4 if justify else 0, embeddedHyphenation=1
    )
    styles = {"p": base}
    for name, big, space in (("h1", 1.65, 1.1), ("h2", 1.25, 0.9), ("h3", 1.05, 0.7)):
        styles[name] = ParagraphStyle(
            name, base, fontName="Helvetica-Bold", fontSize=size * big, leading=size * big * 1.2, textColor=BLUE,
            spaceBefore=size * space, spaceAfter=size * 0.55, alignment=0, keepWithNext=1,
        )  # fmt: skip
    styles["li"] = ParagraphStyle("li", base, leftIndent=14, bulletIndent=3, spaceAfter=size * 0.25, alignment=0)
    styles["cell"] = ParagraphStyle("cell", base, fontSize=size * 0.88, leading=size * 1.12, spaceAfter=0, alignment=0, embeddedHyphenation=0)
    styles["head"] = ParagraphStyle("head", styles["cell"], fontName="Helvetica-Bold", textColor=colors.white)
    styles["note"] = ParagraphStyle(
        "note", base, backColor=PALE, borderPadding=5, leftIndent=6, rightIndent=6, spaceBefore=6, spaceAfter=size, alignment=0
    )
    styles["title"] = ParagraphStyle("title", base, fontName="Helvetica-Bold", fontSize=20, leading=24, textColor=BLUE, spaceAfter=4, alignment=0)
    styles["subtitle"] = ParagraphStyle("subtitle", base, fontSize=11, leading=14, textColor=GREY, spaceAfter=8, alignment=0)
    return styles


def column_widths(rows: list[list[str]], width: float) -> list[float]:
    """Share the width out by the longest text of each column, within limits."""
    weights = [min(max(max(len(plain(row[i])) for row in rows), 9), 42) for i in range(len(rows[0]))]
    return [width * weight / sum(weights) for weight in weights]


def pdf_table(rows: list[list[str]], width: float, styles: dict[str, ParagraphStyle]) -> Table:
    """A ruled table with a coloured, repeating head row."""
    cells = [[Paragraph(inline_html(cell), styles["cell" if i else "head"]) for cell in row] for i, row in enumerate(rows)]
    rules = [
        ("BACKGROUND", (0, 0), (-1, 0), BLUE), ("GRID", (0, 0), (-1, -1), 0.4, colors.HexColor("#b9c4cd")), ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("ROWBACKGROUNDS", (0, 1), (-1, -1), [colors.white, PALE]), ("TOPPADDING", (0, 0), (-1, -1), 3), ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        ("LEFTPADDING", (0, 0), (-1, -1), 4), ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ]  # fmt: skip
    return Table(cells, column_widths(rows, width), style=rules, repeatRows=1, hAlign="LEFT", spaceBefore=4, spaceAfter=9)


def pdf_title(meta: Meta, styles: dict[str, ParagraphStyle]) -> list[Flowable]:
    """Title, subtitle and the document-control line."""
    story: list[Flowable] = [Paragraph(inline_html(meta["title"]), styles["title"])]
    if "subtitle" in meta:
        story.append(Paragraph(inline_html(meta["subtitle"]), styles["subtitle"]))
    control = [
        (label, meta[key]) for key, label in (("number", "Document"), ("version", "Version"), ("date", "Date"), ("owner", "Owner")) if key in meta
    ]
    if control:
        cells = [[Paragraph(f"<b>{label}</b><br/>{inline_html(value)}", styles["cell"]) for label, value in control]]
        story.append(
            Table(
                cells,
                [170 * mm / len(control)] * len(control),
                style=[("BOX", (0, 0), (-1, -1), 0.6, BLUE), ("INNERGRID", (0, 0), (-1, -1), 0.4, PALE), ("VALIGN", (0, 0), (-1, -1), "TOP")],
            )
        )
        story.append(Spacer(1, 10))
    return story


def build_pdf(meta: Meta, blocks: list[Block]) -> bytes:
    """A business PDF. Front matter: columns, toc, chapters (a new page each), size, hyphenate."""
    target = io.BytesIO()
    pdf = PdfDocument(target, meta)
    two = meta.get("columns") == "2"
    styles = pdf_styles(float(meta.get("size", "10")), justify=meta.get("justify") == "yes")
    width = A4[0] - 40 * mm if not two else (A4[0] - 47 * mm) / 2
    shy: Callable[[str], str] = soft_hyphens if meta.get("hyphenate") == "yes" else str
    story = [NextPageTemplate("two")] if two else []
    story += pdf_title(meta, styles)
    if two:
        story.append(CondPageBreak(A4[1]))
    if meta.get("toc") == "yes":
        toc = TableOfContents(dotsMinLevel=0)
        toc.levelStyles = [
            ParagraphStyle(f"toc{i}", styles["p"], leftIndent=12 * i, spaceAfter=0, fontSize=9.5 - i * 0.5, leading=12, alignment=0) for i in (0, 1)
        ]
        story += [Spacer(1, 8), Paragraph("Contents", ParagraphStyle("contents", styles["h3"], keepWithNext=0)), toc]
    for block in blocks:
        if block.kind == "h1" and meta.get("chapters") == "yes":
            story.append(PageBreak())
        if block.kind == "table":
            story.append(pdf_table(block.rows, width, styles))
        elif block.kind in {"ul", "ol"}:
            for i, item in enumerate(block.items, 1):
                story.append(Paragraph(inline_html(shy(item)), styles["li"], bulletText="\u2022" if block.kind == "ul" else f"{i}."))
            story.append(Spacer(1, 4))
        else:
            text = shy(block.text) if block.kind in {"p", "note"} else block.text
            story.append(Paragraph(inline_html(text), styles[block.kind]))
    pdf.multiBuild(story, canvasmaker=NumberedCanvas)
    return target.getvalue()


# ---------------------------------------------------------------- office formats


def fix_zip(data: bytes) -> bytes:
    """The same archive with fixed times, so that two builds are the same bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            content = old.read(item)
            if item.filename == "docProps/core.xml":
                content = re.sub(
                    rb"(<dcterms:(created|modified)[^>]*>)[^<]*", rb"\g<1>" + FIXED_TIME.strftime("%Y-%m-%dT%H:%M:%SZ").encode(), content
                )
            info = zipfile.ZipInfo(item.filename, ZIP_TIME)
            info.compress_type = zipfile.ZIP_STORED if item.filename == "mimetype" else zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            new.writestr(info, content)
    return target.getvalue()


def set_properties(properties: Any, meta: Meta) -> None:
    """The core properties of a DOCX or PPTX."""
    properties.title, properties.author, properties.last_modified_by = meta["title"], COMPANY, COMPANY
    properties.subject, properties.comments, properties.revision = meta.get("number", ""), "", 1
    properties.created = properties.modified = FIXED_TIME


def add_runs(paragraph: Any, text: str) -> None:
    """Write text with **bold** parts into a DOCX paragraph."""
    for i, part in enumerate(re.split(r"\*\*", text.replace("`", ""))):
        if part:
            paragraph.add_run(part).bold = i % 2 == 1


def build_docx(meta: Meta, blocks: list[Block]) -> bytes:
    """A Word document with real heading, list and table styles, a header and a footer."""
    document = Document()
    document.styles["Normal"].font.name, document.styles["Normal"].font.size = "Calibri", Pt(10.5)
    section = document.sections[0]
    section.left_margin = section.right_margin = Cm(2.2)
    section.header.paragraphs[0].text = f"{COMPANY}\t\t{meta.get('number', '')}"
    section.footer.paragraphs[0].text = meta.get("footer", "Uncontrolled when printed")
    document.add_heading(meta["title"], 0)
    control = [meta[key] for key in ("number", "version", "date", "owner") if key in meta]
    if control:
        run = document.add_paragraph().add_run(" \u00b7 ".join(control))
        run.font.size, run.font.color.rgb = Pt(9), RGBColor(0x5D, 0x67, 0x70)
    for block in blocks:
        if block.kind in {"h1", "h2", "h3"}:
            document.add_heading(plain(block.text), int(block.kind[1]))
        elif block.kind == "table":
            table = document.add_table(rows=0, cols=len(block.rows[0]), style="Light Grid Accent 1")
            for row in block.rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    add_runs(cell.paragraphs[0], text)
        elif block.kind == "ol":
            # typed numbers, so that every list starts at 1 without numbering definitions
            for i, item in enumerate(block.items, 1):
                add_runs(document.add_paragraph(), f"{i}. {item}")
        elif block.kind == "ul":
            for item in block.items:
                add_runs(document.add_paragraph(style="List Bullet"), item)
        else:
            add_runs(document.add_paragraph(style="Intense Quote" if block.kind == "note" else None), block.text)
    set_properties(document.core_properties, meta)
    target = io.BytesIO()
    document.save(target)
    return fix_zip(target.getvalue())


def slides(blocks: list[Block]) -> list[tuple[str, list[Block]]]:
    """The blocks grouped by first-level heading: one slide each."""
    groups: list[tuple[str, list[Block]]] = []
    for block in blocks:
        if block.kind == "h1":
            groups.append((block.text, []))
        else:
            groups[-1][1].append(block)
    return groups


def build_pptx(meta: Meta, blocks: list[Block]) -> bytes:
    """A slide deck: a title slide, then a slide for each heading; `Speaker notes:` paragraphs become notes."""
    deck = Presentation()
    deck.slide_width, deck.slide_height = Emu(12192000), Emu(6858000)
    cover = deck.slides.add_slide(deck.slide_layouts[0])
    cover.shapes.title.text = meta["title"]
    cover.placeholders[1].text = "\n".join(meta[key] for key in ("subtitle", "owner", "date") if key in meta)
    for shape, top in ((cover.shapes.title, 2000000), (cover.placeholders[1], 3700000)):
        shape.left, shape.top, shape.width, shape.height = Emu(900000), Emu(top), Emu(10400000), Emu(1400000)
    for title, content in slides(blocks):
        tables = [block for block in content if block.kind == "table"]
        slide = deck.slides.add_slide(deck.slide_layouts[5 if tables else 1])
        slide.shapes.title.text = title
        slide.shapes.title.left, slide.shapes.title.top, slide.shapes.title.width, slide.shapes.title.height = map(
            Emu, (500000, 300000, 11200000, 900000)
        )
        lines = [line for block in content if block.kind in {"p", "ul", "ol"} for line in ([block.text] if block.kind == "p" else block.items)]
        top = 1350000
        if lines:
            if tables:
                body = slide.shapes.add_textbox(Emu(600000), Emu(top), Emu(11000000), Emu(450000 * len(lines)))
            else:
                body = slide.placeholders[1]
                body.left, body.top, body.width, body.height = Emu(600000), Emu(top), Emu(11000000), Emu(5000000)
            body.text_frame.word_wrap = True
            for i, line in enumerate(lines):
                paragraph = body.text_frame.paragraphs[0] if i == 0 else body.text_frame.add_paragraph()
                paragraph.text = plain(line)
                paragraph.font.size = SlidePt(20 if len(lines) < 6 else 18)
            top += 450000 * len(lines)
        for block in tables:
            height = 380000 * len(block.rows)
            table = slide.shapes.add_table(len(block.rows), len(block.rows[0]), Emu(600000), Emu(top), Emu(11000000), Emu(height)).table
            for r, row in enumerate(block.rows):
                for c, text in enumerate(row):
                    table.cell(r, c).text = plain(text)
                    table.cell(r, c).text_frame.paragraphs[0].font.size = SlidePt(14)
            top += height + 200000
        notes = [block.text.removeprefix("Speaker notes:").strip() for block in content if block.kind == "note"]
        if notes:
            slide.notes_slide.notes_text_frame.text = "\n".join(notes)
    set_properties(deck.core_properties, meta)
    target = io.BytesIO()
    deck.save(target)
    return fix_zip(target.getvalue())


def cell_value(text: str) -> str | int | float:
    """A number where the text is written as one, so that spreadsheets hold numbers."""
    if re.fullmatch(r"-?(0|[1-9]\d*)", text):
        return int(text)
    if re.fullmatch(r"-?\d+\.\d+", text):
        return float(text)
    return text


def build_xlsx(meta: Meta, blocks: list[Block]) -> bytes:
    """A workbook: a sheet for each first-level heading, its paragraphs above its table."""
    book = Workbook()
    book.remove(book.active)
    for title, content in slides(blocks):
        sheet = book.create_sheet(title)
        row = 1
        for block in content:
            if block.kind == "table":
                for r, cells in enumerate(block.rows):
                    for c, text in enumerate(cells, 1):
                        cell = sheet.cell(row, c, cell_value(plain(text)))
                        if r == 0:
                            cell.font, cell.fill = Font(bold=True, color="FFFFFF"), PatternFill("solid", fgColor="17486B")
                    row += 1
                for c in range(len(block.rows[0])):
                    longest = max(len(cells[c]) for cells in block.rows)
                    sheet.column_dimensions[chr(65 + c)].width = min(max(longest + 2, 9), 60)
            else:
                for text in block.items or [block.text]:
                    sheet.cell(row, 1, plain(text)).alignment = Alignment(wrap_text=False)
                    if block.kind == "h2":
                        sheet.cell(row, 1).font = Font(bold=True, size=13)
                    row += 1
    book.properties.title, book.properties.creator, book.properties.lastModifiedBy = meta["title"], COMPANY, COMPANY
    book.properties.created = FIXED_TIME
    target = io.BytesIO()
    book.save(target)
    return fix_zip(target.getvalue())


# ---------------------------------------------------------------- text and web formats


def blocks_html(blocks: Iterable[Block]) -> str:
    """The blocks as XHTML fragments."""
    parts = []
    for block in blocks:
        if block.kind == "table":
            rows = [
                "<tr>" + "".join(f"<{tag}>{inline_html(cell)}</{tag}>" for cell in row) + "</tr>"
                for row, tag in zip(block.rows, ["th"] + ["td"] * len(block.rows), strict=False)
            ]
            parts.append("<table>\n<thead>" + rows[0] + "</thead>\n<tbody>\n" + "\n".join(rows[1:]) + "\n</tbody>\n</table>")
        elif block.kind in {"ul", "ol"}:
            parts.append(f"<{block.kind}>\n" + "\n".join(f"<li>{inline_html(item)}</li>" for item in block.items) + f"\n</{block.kind}>")
        elif block.kind == "note":
            parts.append(f'<p class="note">{inline_html(block.text)}</p>')
        else:
            parts.append(f"<{block.kind}>{inline_html(block.text)}</{block.kind}>")
    return "\n".join(parts)


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title} | Orrinmere intranet</title>
<style>body {{ font-family: sans-serif; margin: 0 }}
nav, footer {{ background: #17486b; color: #fff }} td, th {{ border: 1px solid #bbb; padding: 4px }}</style>
<script>window.siteConfig = {{"search": true, "area": "{area}", "build": "2025.22"}};</script>
</head>
<body>
<div class="cookie-banner" role="dialog">This site uses cookies that are needed for sign-in. <button>OK</button></div>
<header><a class="logo" href="/">Orrinmere</a></header>
<nav aria-label="Main"><ul><li><a href="/">Home</a></li><li><a href="/people">People</a></li><li><a href="/products">Products</a></li>
<li><a href="/service">Service</a></li><li><a href="/safety">Safety</a></li>
<li><a href="/it">IT help</a></li><li><a href="/canteen">Canteen menu</a></li></ul></nav>
<p class="breadcrumb">Home &raquo; {area} &raquo; {title}</p>
<main>
<h1>{title}</h1>
<p class="byline">Owner: {owner} &middot; Last updated: {date}</p>
{content}
</main>
<aside><h2>Related pages</h2><ul><li><a href="/a-to-z">A to Z</a></li>
<li><a href="/forms">Forms</a></li><li><a href="/contacts">Who does what</a></li></ul></aside>
<footer><p>&copy; 2025 Orrinmere Pump &amp; Valve. For internal use. <a href="/imprint">Imprint</a> &middot; <a href="/privacy">Privacy</a> &middot;
<a href="/accessibility">Accessibility</a> &middot; Was this page helpful? <button>Yes</button> <button>No</button></p></footer>
</body>
</html>
"""


def build_html(meta: Meta, blocks: list[Block]) -> bytes:
    """An intranet page, with the navigation and footer such pages carry."""
    values = {key: html.escape(meta.get(key, "")) for key in ("title", "area", "owner", "date")}
    return PAGE.format(content=blocks_html(blocks), **values).encode()


def rtf_text(text: str) -> str:
    """Escape for RTF; bold marks become groups."""
    out = "".join(f"\\{c}" if c in "\\{}" else c if ord(c) < 128 else f"\\u{ord(c)}?" for c in text.replace("`", ""))
    return re.sub(r"\*\*(.+?)\*\*", r"{\\b \1}", out)


def build_rtf(meta: Meta, blocks: list[Block]) -> bytes:
    """Rich Text Format, as an old word processor writes it."""
    out = [
        r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss Arial;}}{\colortbl;\red23\green72\blue107;}",
        rf"{{\info{{\title {rtf_text(meta['title'])}}}}}",
    ]
    out.append(rf"{{\header\pard\fs16 {rtf_text(COMPANY)} - {rtf_text(meta.get('number', ''))}\par}}")
    out.append(rf"\pard\sa120\cf1\b\fs36 {rtf_text(meta['title'])}\b0\cf0\fs21\par")
    control = [meta[key] for key in ("number", "version", "date", "owner") if key in meta]
    out.append(rf"\pard\sa200\fs18 {rtf_text(' / '.join(control))}\fs21\par")
    for block in blocks:
        if block.kind in {"h1", "h2", "h3"}:
            size = {"h1": 28, "h2": 24, "h3": 21}[block.kind]
            out.append(rf"\pard\sb200\sa100\b\fs{size} {rtf_text(block.text)}\b0\fs21\par")
        elif block.kind == "table":
            step = 9000 // len(block.rows[0])
            edges = "".join(rf"\cellx{step * (i + 1)}" for i in range(len(block.rows[0])))
            for row in block.rows:
                out.append(rf"\trowd\trgaph80{edges}" + "".join(rf"\pard\intbl {rtf_text(cell)}\cell " for cell in row) + r"\row")
            out.append(r"\pard\sa100\par")
        elif block.kind in {"ul", "ol"}:
            for i, item in enumerate(block.items, 1):
                mark = r"\bullet" if block.kind == "ul" else f"{i}."
                out.append(rf"\pard\fi-300\li400\sa60 {mark}\tab {rtf_text(item)}\par")
        else:
            out.append(rf"\pard\sa120 {rtf_text(block.text)}\par")
    return ("\n".join(out) + "\n}\n").encode("ascii")


def build_epub(meta: Meta, blocks: list[Block]) -> bytes:
    """An EPUB 3 book, a file for each first-level heading."""
    chapters = slides(blocks)
    names = [f"chapter-{i:02d}.xhtml" for i in range(1, len(chapters) + 1)]
    head = (
        '<?xml version="1.0" encoding="utf-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="en">'
        "<head><title>{}</title></head><body>\n"
    )
    title = html.escape(meta["title"])
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<?xml version="1.0"?>\n<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>\n',
    }
    manifest = "".join(f'<item id="c{i}" href="{name}" media-type="application/xhtml+xml"/>\n' for i, name in enumerate(names))
    files["OEBPS/content.opf"] = (
        '<?xml version="1.0" encoding="utf-8"?>\n<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">\n'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">{html.escape(meta.get("number", title))}</dc:identifier><dc:title>{title}</dc:title>'
        f"<dc:language>en</dc:language><dc:creator>{html.escape(COMPANY)}</dc:creator>"
        '<meta property="dcterms:modified">2025-06-02T08:00:00Z</meta></metadata>\n'
        f'<manifest><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>\n{manifest}</manifest>\n'
        "<spine>" + "".join(f'<itemref idref="c{i}"/>' for i in range(len(names))) + "</spine>\n</package>\n"
    )
    links = "".join(f'<li><a href="{name}">{html.escape(chapter)}</a></li>' for name, (chapter, _) in zip(names, chapters, strict=True))
    files["OEBPS/nav.xhtml"] = head.format(title) + f'<nav epub:type="toc"><h1>Contents</h1><ol>{links}</ol></nav>\n</body></html>\n'
    for name, (chapter, content) in zip(names, chapters, strict=True):
        files[f"OEBPS/{name}"] = (
            head.format(html.escape(chapter)) + f"<h1>{html.escape(chapter)}</h1>\n" + blocks_html(content) + "\n</body></html>\n"
        )
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as book:
        for name, text in files.items():
            book.writestr(name, text)
    return fix_zip(target.getvalue())


def build_eml(meta: Meta, body: str, folder: Path) -> bytes:
    """A message with fixed Date and Message-ID; `Attachment` names a file beside the source."""
    message = EmailMessage(policy=SMTP)
    for key in ("From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References"):
        if key in meta:
            message[key] = meta[key]
    message.set_content(body.strip() + "\n", cte="quoted-printable")
    if "HTML" in meta:
        message.add_alternative(f"<html><body>{blocks_html(parse_blocks(body))}</body></html>\n", subtype="html", cte="quoted-printable")
        message.set_boundary("=_orrinmere-alternative")
    if "Attachment" in meta:
        data = (folder / meta["Attachment"]).read_text(encoding="utf-8")
        message.add_attachment(data, subtype="csv", filename=meta["Attachment"].removeprefix("_"), cte="quoted-printable")
        message.set_boundary("=_orrinmere-mixed")
    return message.as_bytes()


# ---------------------------------------------------------------- building and checking

BUILDERS: dict[str, Callable[[Meta, list[Block]], bytes]] = {
    ".pdf": build_pdf, ".docx": build_docx, ".pptx": build_pptx, ".xlsx": build_xlsx, ".html": build_html, ".rtf": build_rtf, ".epub": build_epub,
}  # fmt: skip


def sources() -> dict[str, Path]:
    """Document path to source path. Names that begin with `_` are parts of other documents."""
    found = {}
    for path in sorted(SOURCES.rglob("*")):
        if path.is_file() and not path.name.startswith("_"):
            name = path.relative_to(SOURCES).as_posix()
            rendered = path.suffix == ".md" and Path(path.stem).suffix in {*BUILDERS, ".eml"}
            found[name.removesuffix(".md") if rendered else name] = path
    return found


def build_one(document: str, source: Path) -> bytes:
    """The bytes of one document."""
    if source.name == Path(document).name:
        return source.read_bytes()
    meta, body = split_front_matter(source.read_text(encoding="utf-8"))
    if document.endswith(".eml"):
        return build_eml(meta, body, source.parent)
    return BUILDERS[Path(document).suffix](meta, parse_blocks(body))


def build_all(target: Path) -> list[str]:
    """Write every document below `target`; returns their paths."""
    built = []
    for document, source in sources().items():
        path = target / document
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(build_one(document, source))
        built.append(document)
    return built


def check_documents() -> list[str]:
    """What differs between the committed documents and a fresh build."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        built = build_all(Path(folder))
        for document in built:
            committed = DOCUMENTS / document
            if not committed.is_file():
                problems.append(f"{document}: missing")
            elif committed.read_bytes() != (Path(folder) / document).read_bytes():
                problems.append(f"{document}: differs")
    extra = {path.relative_to(DOCUMENTS).as_posix() for path in DOCUMENTS.rglob("*") if path.is_file()} - set(built)
    return problems + [f"{document}: no source" for document in sorted(extra)]


Row = dict[str, Any]  # a golden question


def read_questions() -> tuple[list[Row], list[str]]:
    """The golden questions, and what cannot be read of them."""
    rows: list[Row] = []
    problems: list[str] = []
    for number, line in enumerate(QUESTIONS.read_text(encoding="utf-8").splitlines(), 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            problems.append(f"line {number}: {error}")
    return rows, problems


@cache
def parsed(document: str) -> ParsedDocument:
    """A built document as ragwb reads it."""
    return parse((DOCUMENTS / document).read_bytes(), document)


def anchored(row: Row) -> tuple[Row, list[str]]:
    """A question with the span of each quote in the canonical text and the quote as it stands there, and what could not be found."""
    evidence: list[Row] = []
    problems: list[str] = []
    for entry in row["evidence"]:
        document = entry["document"]
        try:
            text = parsed(document).text
            start, end = anchor(text, entry["quote"])
        except OSError:
            problems.append(f"{row['id']}: no document {document}")
        except (DocumentError, AnchorError) as error:
            problems.append(f"{row['id']}: {document}: {error}")
        else:
            evidence.append({"document": document, "quote": text[start:end], "start": start, "end": end})
    return {**row, "evidence": evidence}, problems


def anchored_questions() -> tuple[str, list[str]]:
    """The content of `questions.jsonl`, and why it cannot be written."""
    rows, problems = read_questions()
    lines = []
    for row in rows:
        found, missing = anchored(row)
        problems += missing
        lines.append(json.dumps(found, ensure_ascii=False) + "\n")
    return "".join(lines), problems


# Words that say nothing about what is asked: function words, and the asking itself.
FUNCTION_WORDS = frozenset(
    "a about after all also am an and any anything are as at be been before being but by can can't could did didn't do does doesn't doing don't down for from "
    "get gets give given go had has have having he her him his how i i'm if in into is isn't it its just let long many may me mean means might much must my no "
    "not of off often on one only or other our out over own please say shall she should so some somebody someone something still such tell than that the their "
    "them then there these they this those to too under until up us very was we were what what's when where which while who whom whose why will with would you "
    "your".split()
)
ONE_WORD = re.compile(r"[^\W_]+(?:[-./'][^\W_]+)*")
STEMMER = Stemmer.Stemmer("english")


def content_words(text: str) -> set[str]:
    """Lower-case stems of the words of a text, without function words. Codes and numbers stay whole."""
    words = ONE_WORD.findall(text.lower().replace("\u2019", "'"))
    return {STEMMER.stemWord(word.removesuffix("'s")) for word in words if word not in FUNCTION_WORDS}


def evidence_words(document: ParsedDocument, start: int, end: int) -> set[str]:
    """The words of a quote, of the title and the headings above it and, in a table, of its rows and of the column names."""
    text = document.text
    if " | " in text[text.rfind("\n", 0, start) + 1 : (text + "\n").find("\n", end)]:
        start, end = text.rfind("\n", 0, start) + 1, (text + "\n").find("\n", end)
        head = start
        while document.format in {"pdf", "md"} and "|" in text[text.rfind("\n", 0, max(head - 1, 0)) + 1 : head]:
            head = text.rfind("\n", 0, head - 1) + 1  # these two formats name the columns in the first row, the others in every row
        names = text[head : text.find("\n", head)]
    else:
        names = ""
    told = " ".join([document.title, names, text[start:end], *(heading.title for heading in document.headings_at(start))])
    return content_words(told) | content_words(re.sub(r"[-./_]", " ", told))


def plain_share(row: Row) -> float:
    """The share of an anchored question's content words, with those of its history, that its evidence has."""
    told = set[str]().union(*(evidence_words(parsed(entry["document"]), entry["start"], entry["end"]) for entry in row["evidence"]))
    asked = content_words(" ".join([*row.get("history", []), row["question"]]))
    shared = [word for word in asked if word in told or (not re.search(r"\d", word) and content_words(re.sub(r"[-./]", " ", word)) <= told)]
    return len(shared) / max(len(asked), 1)


def unproven_facts(row: Row) -> list[str]:
    """The facts of a question's answer that no piece of its evidence holds, by the rule that scores an answer."""
    return [fact for fact in row["answer"].split(FACTS) if not any(occurs(entry["quote"], fact) for entry in row["evidence"])]


def check_questions() -> list[str]:
    """What is wrong with the golden questions."""
    rows, problems = read_questions()
    ids: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        name, kind, style = row["id"], row["kind"], row.get("style")
        ids[name] += 1
        seen[" / ".join([*row.get("history", []), row["question"]]).lower()] += 1
        counts[kind, row["split"]] += 1
        counts[kind, f"{style}"] += 1
        if kind not in KINDS or row["split"] not in SPLITS:
            problems.append(f"{name}: unknown kind or split")
        if style not in (UNANSWERABLE_STYLES if kind == "unanswerable" else ANSWERABLE_STYLES):
            problems.append(f"{name}: style {style!r} does not fit its kind")
        if unknown := set(row) - {"id", "split", "kind", "style", "question", "answer", "evidence", "history"}:
            problems.append(f"{name}: unknown fields {unknown}")
        if (kind == "unanswerable") != (not row["answer"]) or bool(row["answer"]) != bool(row["evidence"]):
            problems.append(f"{name}: answer and evidence do not fit its kind")
        if (kind == "follow-up") != bool(row.get("history")):
            problems.append(f"{name}: only a follow-up question has a history")
        if kind == "two documents" and len({entry["document"] for entry in row["evidence"]}) != 2:
            problems.append(f"{name}: needs evidence from two documents")
        found, missing = anchored(row)
        problems += missing
        if row["evidence"] and not missing:
            problems += [f"{name}: {fact!r} is not inside the evidence" for fact in unproven_facts(found)]
        if row["evidence"] and not missing and (style == "plain") != (plain_share(found) >= PLAIN_SHARE):
            problems.append(f"{name}: {style}, but {plain_share(found):.0%} of its content words are its evidence's")
    problems += [f"{name}: id used {count} times" for name, count in ids.items() if count > 1]
    problems += [f"question asked {count} times: {question}" for question, count in seen.items() if count > 1]
    for kind, least in KINDS.items():
        dev, test = (counts[kind, split] for split in SPLITS)
        if dev + test < least or abs(dev - test) > 1:
            problems.append(f"{kind}: {dev} dev and {test} test questions, at least {least} wanted, in equal parts")
        styles = UNANSWERABLE_STYLES if kind == "unanswerable" else ANSWERABLE_STYLES
        print(f"{kind:15} dev {dev:3}  test {test:3}  " + "  ".join(f"{style} {counts[kind, style]:3}" for style in styles))
    return problems


def check_anchored() -> list[str]:
    """Why the committed `questions.jsonl` is not that of a fresh build."""
    fresh, problems = anchored_questions()
    if not ANCHORED.is_file():
        return [*problems, f"{ANCHORED.name}: missing"]
    return problems if ANCHORED.read_text(encoding="utf-8") == fresh else [*problems, f"{ANCHORED.name}: stale"]


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare the committed documents and questions.jsonl with a fresh build")
    parser.add_argument("--check-questions", action="store_true", help="check the golden questions against the documents")
    options = parser.parse_args()
    problems: list[str] = []
    if not options.check and not options.check_questions:
        built = build_all(DOCUMENTS)
        size = sum((DOCUMENTS / document).stat().st_size for document in built)
        content, problems = anchored_questions()
        if not problems:
            ANCHORED.write_text(content, encoding="utf-8", newline="\n")
        written = f"{ANCHORED.name} not written" if problems else f"{len(content.splitlines())} questions"
        print(f"{len(built)} documents, {size / 1e6:.2f} MB, {written}")
    if options.check:
        problems += check_documents() + check_anchored()
    if options.check_questions:
        problems += check_questions()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
