"""Reads all files below a folder under the workers' limits: what is refused, and which share of the words of other readers is there.

usage: python -m benchmarks.extraction FOLDER [--worst N]
PDFs are compared with pdfium's own text, Word and PowerPoint files with MarkItDown's (pip install "markitdown[docx,pptx]"), where it is installed.
"""
import argparse
import re
import time
from collections import Counter, defaultdict
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean

import pypdfium2 as pdfium  # type: ignore[import-untyped]

from ragwb.documents.document import Document
from ragwb.documents.files import extension, find_files
from ragwb.ingestion.processes import parse_many


def words(text: str) -> Counter[str]:
    "The words of a text, counted."
    return Counter(re.findall(r"\w+", text.lower()))


def peer_text(path: Path) -> str:
    "A file's text as another reader gives it; empty where there is none for its format, or where that reader fails."
    try:
        if extension(path.name) == ".pdf":
            with pdfium.PdfDocument(path) as pdf:
                return "\n".join(page.get_textpage().get_text_range() for page in pdf)
        if extension(path.name) in (".docx", ".pptx") and find_spec("markitdown"):
            from markitdown import MarkItDown  # type: ignore[import-not-found]

            return re.sub(r"!?\[([^\]]*)\]\([^)]*\)|<!--.*?-->|data:image\S*", r"\1", MarkItDown().convert(str(path)).text_content, flags=re.DOTALL)
    except Exception as error:  # a peer that fails says nothing about this reader
        print(f"{path.name}: the other reader fails: {type(error).__name__}")
    return ""


def recall(text: str, peer: str) -> float | None:
    "The share of another reader's words that a text has; None if it has none."
    other = words(peer)
    return sum((words(text) & other).values()) / other.total() if other else None


def main() -> None:
    "Prints a table of formats, the refusals, and the files with the least recall."
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--worst", type=int, default=20, help="files with the least recall that are named")
    given = arguments.parse_args()
    found, started = find_files([given.folder]), time.monotonic()
    paths, read = dict(found.files), defaultdict[str, list[Document]](list)
    refused: dict[str, str] = {}
    for outcome in parse_many(found.files, workers=1):
        if isinstance(outcome, Document):
            read[extension(outcome.id)].append(outcome)
        else:
            refused[outcome.document] = outcome.reason
    seconds, recalls = time.monotonic() - started, dict[str, float]()
    for document in (document for kind in (".pdf", ".docx", ".pptx") for document in read[kind]):
        if (share := recall(document.text, peer_text(paths[document.id]))) is not None:
            recalls[document.id] = share
    print("| format | read | refused | recall, mean | below .5 |\n|---|---|---|---|---|")
    for kind in sorted({extension(id) for id in paths}):
        shares = [share for id, share in recalls.items() if extension(id) == kind]
        said = f"{fmean(shares):.3f} | {sum(share < .5 for share in shares)} of {len(shares)}" if shares else " | "
        print(f"| {kind} | {len(read[kind])} | {sum(extension(id) == kind for id in refused)} | {said} |")
    print(f"{len(paths)} files in {seconds:.0f} s, {len(refused)} refused; {len(found.skipped)} of other formats skipped")
    for id, reason in sorted(refused.items(), key=lambda item: item[1]):
        print(f"refused: {id}: {reason}")
    for id, share in sorted(recalls.items(), key=lambda item: item[1])[:given.worst]:
        print(f"recall {share:.3f}: {id}")


if __name__ == "__main__":
    main()
