"""Draws pages whose reading order is known, and prints which share of their characters ragwb reads in that order.

usage: python -m benchmarks.reading_order [--wrong]
Each page is drawn as a PDF in the way that some program writes it (line by line, column by column, letter by letter), and labelled with its
paragraphs as a person reads them. A page counts the characters of the longest run of words, in order, that the label and the text share.
"""
import argparse
import random
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import matplotlib
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from ragwb.documents.pdf import parse_pdf

WORDS = {
    "english": "the keeper of harbour opens gate when water rises over lower wall and boats wait near north pier until lamp turns green again while crews carry ropes "
               "along narrow bridge before evening bell rings for all who still work under old roof".split(),
    "german": "der Wärter öffnet am Morgen die Schleuse sobald das Wasser steigt und alle Boote warten vor dem Tor bis die Lampe "
              "grün leuchtet während Fischer ihre Netze über lange Stege tragen".split(),
    "hebrew": "הספרייה נפתחת בבוקר ונסגרת בערב והקוראים יושבים ליד החלון הגדול כאשר השומר מדליק את האור בחדר השני לפני שהשעון מצלצל".split(),
    "arabic": "ﺍﻟﻤﻜﺘﺒﺔ ﺗﻔﺘﺢ ﺻﺒﺎﺣﺎ ﻭﺗﻐﻠﻖ ﻣﺴﺎﺀ ﻭﺍﻟﻘﺮﺍﺀ ﻳﺠﻠﺴﻮﻥ ﻗﺮﺏ ﺍﻟﻨﺎﻓﺬﺓ ﺍﻟﻜﺒﻴﺮﺓ ﺣﻴﻦ ﻳﻀﻲﺀ ﺍﻟﺤﺎﺭﺱ ﺍﻟﻤﺼﺒﺎﺡ".split(),
}
JAPANESE = (
    "倉庫は八時に開きます。鍵は守衛が持っています。荷物は左側の棚に置き、書類は二階の窓口へ届けてください。",
    "会議は毎週火曜日の午後に行われ、議事録は翌日までに配られます。欠席する人は前日に電話で知らせます。",
    "船は桟橋の東側に着きます。切符は待合室で売られ、子供は半額です。強い風の日は出航しません。",
    "図書の貸出は二週間で、延長は一度だけできます。破れた本は直さずに係へ渡してください。",
)
Page = tuple[str, bytes, list[str]]  # kind and name, the file, its paragraphs in the order of a person


def drawn(draw: Callable[[Canvas], None]) -> bytes:
    "A page of A4."
    file = BytesIO()
    canvas = Canvas(file, pagesize=(595, 842), invariant=True)
    canvas.setFont("Helvetica", 10)
    draw(canvas)
    canvas.save()
    return file.getvalue()


def paragraph(language: str, seed: int, words: int = 40) -> list[str]:
    "The words of some sentences."
    chosen = random.Random(seed)
    said = [chosen.choice(WORDS[language]) for _ in range(words)]
    for first in range(0, words, 10):
        said[first] = said[first].capitalize()
        said[min(first + 9, words - 1)] += "."
    return said


def wrapped(words: Sequence[str], width: float, font: str, size: float = 10) -> list[str]:
    "Words in lines of a width in points."
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if pdfmetrics.stringWidth(longer, font, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def columns(canvas: Canvas, blocks: Sequence[list[str]], lefts: Sequence[float], top: float, across: bool, leading: float = 12) -> None:
    "Draws columns of lines: one after the other, or line by line over all of them."
    places = [(at, column) for column, lines in enumerate(blocks) for at in range(len(lines))]
    for at, column in sorted(places) if across else places:
        canvas.drawString(lefts[column], top - leading * at, blocks[column][at])


def column_pages() -> Iterator[Page]:
    "Two and three columns: with a title, a footnote, headings, an abstract, a picture's gap, sides of unequal width."
    for number in range(16):
        language = ("english", "german")[number % 2]
        across, parts = number % 4 > 1, 3 if number % 8 == 7 else 2
        width = 150.0 if parts == 3 else 225.0
        said = [paragraph(language, 100 * number + at, 70 + 20 * (number % 3)) for at in range(parts)]
        blocks = [wrapped(words, width + (40 if number % 5 == 4 and not at else 0), "Helvetica") for at, words in enumerate(said)]
        lefts = [50 + at * (width + 20) + (40 if number % 5 == 4 and at else 0) for at in range(parts)]
        title, note = f"Notices of the harbour, part {number}", wrapped(paragraph(language, 999 + number, 20), 480, "Helvetica", 10)
        order = [" ".join(words) for words in said]

        def draw(canvas: Canvas, number=number, blocks=blocks, lefts=lefts, across=across, title=title, note=note) -> None:
            if number % 3 == 0:
                canvas.setFont("Helvetica-Bold", 15)
                canvas.drawString(50, 780, title)
                canvas.setFont("Helvetica", 10)
            columns(canvas, blocks, lefts, 740, across, leading=12 + number % 3)
            for at, line in enumerate(note if number % 4 == 1 else []):
                canvas.drawString(50, 740 - 15 * max(map(len, blocks)) - 40 - 12 * at, line)
        order = [title] * (number % 3 == 0) + order + [" ".join(note)] * (number % 4 == 1)
        yield f"columns {number}", drawn(draw), order


def backwards(word: str) -> str:
    "A word in visual order; digits run to the right in any script."
    return word if word.isascii() else word[::-1]


def right_to_left_pages() -> Iterator[Page]:
    "Hebrew and Arabic in visual and in logical order, with numbers and names, in one column and in two."
    for number in range(16):
        language = ("hebrew", "arabic")[number % 2]
        logical, parts = number % 4 > 1, 2 if number % 8 > 5 else 1
        said = []
        for at in range(parts):
            words = paragraph(language, 300 + 10 * number + at, 40)
            if number % 3 == 1:
                words[5], words[17] = "2025", "03-5551234"
            if number % 5 == 3:
                words[9] = "USB"
            said.append(words)
        width = 480.0 if parts == 1 else 220.0
        blocks = [wrapped(words, width, "DejaVu") for words in said]

        def draw(canvas: Canvas, blocks=blocks, logical=logical) -> None:
            canvas.setFont("DejaVu", 10)
            for column, lines in enumerate(blocks):
                for at, line in enumerate(lines):
                    right, top = 540 - 250 * column, 760 - 15 * at
                    if not logical:
                        canvas.drawRightString(right, top, " ".join(backwards(word) for word in reversed(line.split())))
                        continue
                    for word in line.split():  # in the order of reading, each at its place
                        canvas.drawRightString(right, top, backwards(word))
                        right -= pdfmetrics.stringWidth(word + " ", "DejaVu", 10)
        yield f"right to left {number}", drawn(draw), [" ".join(words) for words in said]


def vertical_pages() -> Iterator[Page]:
    "Japanese in lines from the top, from the right: in one tier and in two, with a title."
    for number in range(12):
        texts = [JAPANESE[(number + at) % 4] for at in range(2)]
        tall, step = (14, 18 + 2 * (number % 3)) if number % 2 else (20, 18)
        tiers = [[text[at:at + tall] for at in range(0, len(text), tall)] for text in texts]

        def draw(canvas: Canvas, number=number, tiers=tiers, step=step, tall=tall) -> None:
            canvas.setFont("HeiseiMin-W3", 12)
            for tier, lines in enumerate(tiers):
                for at, line in enumerate(lines):
                    beside = len(tiers[0]) + 1 if number % 4 < 2 else 0  # the second paragraph to the left, or in a tier below
                    canvas.drawString(520 - step * (at + tier * beside), 790 - (tier * (tall * 12 + 60) if not beside else 0), line)
        yield f"vertical {number}", drawn(draw), texts


def tokens(text: str) -> list[str]:
    "The words of a text; each character of a script without blanks."
    return [token for word in text.split() for token in (word if "\u3000" < word[0] < "\u9fff" else [word])]


def in_order(label: Sequence[str], read: Sequence[str]) -> int:
    "The characters of the longest sequence of tokens that both have in this order."
    best = [0] * (len(read) + 1)
    for token in label:
        before = 0
        for at, other in enumerate(read, 1):
            before, best[at] = best[at], max(best[at], best[at - 1], before + len(token) if token == other else 0)
    return best[-1]


def share(page: Page) -> float:
    "The share of a page's characters that are read in order."
    _, data, order = page
    label, read = (tokens(unicodedata.normalize("NFKC", text)) for text in (" ".join(order), parse_pdf(data, "a.pdf", "0" * 64).text))
    return in_order(label, read) / max(sum(map(len, label)), 1)


def pages() -> list[Page]:
    "All pages."
    pdfmetrics.registerFont(TTFont("DejaVu", Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"))
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3", isVertical=True))
    return [*column_pages(), *right_to_left_pages(), *vertical_pages()]


def main() -> None:
    "Prints the share for each kind of page, and for all of them."
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--wrong", action="store_true", help="the pages below .98, with what was read")
    given, shares = arguments.parse_args(), defaultdict[str, list[float]](list)
    for page in pages():
        found = share(page)
        shares[page[0].rpartition(" ")[0]].append(found)
        if given.wrong and found < 0.98:
            print(f"{page[0]}: {found:.3f}\n{parse_pdf(page[1], 'a.pdf', '0' * 64).text[:600]}\n")
    for kind, values in shares.items():
        print(f"{kind:16} {len(values):3} pages  {sum(values) / len(values):.3f}")
    every = [value for values in shares.values() for value in values]
    print(f"{'all':16} {len(every):3} pages  {sum(every) / len(every):.3f} of the characters in the order of a person")


if __name__ == "__main__":
    main()
