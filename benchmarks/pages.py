"Generated documents of any number and length, as Markdown and as PDF, for benchmarks."

import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from benchmarks import SAMPLE
from ragwb.documents.language import is_row, sentences, tokenizer


class Pages:
    "Pages that read like a company's: the sentences of the sample corpus, with some of their words and all of their codes drawn anew."

    def __init__(self, seed: int = 0):
        self.random = random.Random(seed)
        texts = [path.read_text("utf-8") for path in sorted((SAMPLE / "src").rglob("*.md"))]
        found = {text[low:high] for text in texts for low, high in sentences(text) if 30 < high - low < 400}
        self.prose = [self.slots(sentence) for sentence in sorted(found) if not is_row(sentence) and sentence[0] not in "#-*0123456789"]
        self.rows = [self.slots(sentence) for sentence in sorted(found) if is_row(sentence) and sentence.count("|") == 5]
        roots = sorted(token[1:] for token in tokenizer().get_vocab() if re.fullmatch("▁[a-z]{4,}", token))
        self.random.shuffle(roots)
        self.words = [root + ending for ending in ("", "s", "ing", "er", "ment") for root in roots]
        self.weights = list(accumulate(1 / (rank + 20) for rank in range(len(self.words))))  # Zipf

    def slots(self, sentence: str) -> tuple[str, int]:
        "A sentence with gaps for some of its words and for its numbers, and how many gaps for words there are."
        safe = re.sub(r"\d+", "{code}", sentence.replace("{", "(").replace("}", ")"))
        gaps = 0

        def gap(word: re.Match[str]) -> str:
            nonlocal gaps
            gaps += self.random.random() < 0.35
            return word[0] if self.random.random() < 0.65 else "{}"

        holed = re.sub(r"(?<![{\w])[a-z]{5,}(?![}\w])", gap, safe)
        return holed, holed.count("{}")

    def say(self, holed: tuple[str, int]) -> str:
        "A sentence with its gaps filled."
        sentence, gaps = holed
        words = self.random.choices(self.words, cum_weights=self.weights, k=gaps)
        return sentence.format(*words, code=self.random.randint(1, 999))

    def blocks(self) -> Iterator[tuple[str, list[str]]]:
        "A page of 4 to 6 KB as (kind, lines)."
        yield "title", [self.say(self.random.choice(self.prose))[:60]]
        size, goal = 0, self.random.randint(3_800, 5_400)
        while size < goal:
            kind = self.random.choices(["heading", "paragraph", "list", "table"], [2, 6, 2, 1])[0]
            source = self.rows if kind == "table" else self.prose
            count = {"heading": 1, "paragraph": self.random.randint(3, 7), "list": 4, "table": 6}[kind]
            lines = [self.say(sentence) for sentence in self.random.choices(source, k=count)]
            lines = [lines[0][:50]] if kind == "heading" else lines
            size += sum(map(len, lines))
            yield kind, lines

    def markdown(self) -> str:
        "A page as Markdown."
        shapes: dict[str, Callable[[list[str]], str]] = {
            "title": lambda lines: f"# {lines[0]}",
            "heading": lambda lines: f"## {lines[0]}",
            "paragraph": " ".join,
            "list": lambda lines: "\n".join(f"- {line}" for line in lines),
            "table": lambda lines: "\n".join([lines[0], "|---|---|---|---|", *lines[1:]]),
        }
        return "\n\n".join(shapes[kind](lines) for kind, lines in self.blocks()) + "\n"

    def write(self, folder: Path, count: int) -> Path:
        "Some pages as files."
        for number in range(count):
            path = folder / f"{number // 100:03d}" / f"page-{number:05d}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.markdown(), "utf-8")
        return folder

    def write_pdf(self, path: Path, pages: int) -> Path:
        "A digital PDF of full pages: running header and footer, headings, paragraphs and tables."
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.utils import simpleSplit
        from reportlab.pdfgen.canvas import Canvas

        canvas = Canvas(str(path), pagesize=A4, invariant=True)
        lines = self.pdf_lines(lambda text, size: simpleSplit(text, "Helvetica", size, 480))
        for number in range(1, pages + 1):
            canvas.setFont("Helvetica", 8)
            canvas.drawString(56, 810, "Field service handbook")
            canvas.drawString(500, 30, f"Page {number}")
            for row in range(54):
                size, cells = next(lines)
                canvas.setFont("Helvetica-Bold" if size > 10 else "Helvetica", size)
                for column, cell in enumerate(cells):
                    canvas.drawString(56 + 130 * column, 785 - 13.5 * row, cell)
            canvas.showPage()
        canvas.save()
        return path

    def pdf_lines(self, split: Callable[[str, float], Sequence[str]]) -> Iterator[tuple[float, Sequence[str]]]:
        "Font size and cells of one printed line after the other."
        while True:
            for kind, lines in self.blocks():
                size = {"title": 14.0, "heading": 12.0}.get(kind, 9.5)
                if kind == "table":
                    yield from ((size, [cell.strip()[:24] for cell in line.strip("| ").split("|")]) for line in lines)
                else:
                    yield from ((size, [part]) for line in ([" ".join(lines)] if kind == "paragraph" else lines) for part in split(line, size))
                yield size, []
