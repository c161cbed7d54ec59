"""`python tests/tools/behaviours.py` breaks each behaviour of behaviours.toml in a copy of the project and prints what noticed it; it ends with 1 if one was noticed
by no assertion. `... behaviours.py race drift` breaks those whose description has one of these words. A printed output that differs is not enough here."""

import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mutants import LONGEST_S, ROOT, Copy, modules
from mutations import Mutant

LISTED = ROOT / "tests/tools/behaviours.toml"


class Behaviour(NamedTuple):
    "A behaviour that can be broken."
    what: str  # is then so
    file: str
    old: str   # stands once in the file
    new: str
    by: str = ""  # the test that is to notice it; empty: whatever knows the module

    def change(self) -> Mutant:
        "The change that breaks it. Raises ValueError if the file has not its text, or has it twice."
        source = (ROOT / self.file).read_bytes()
        if source.count(self.old.encode()) != 1:
            raise ValueError(f"{self.what}: {self.file} has its text {source.count(self.old.encode())} times: mend {LISTED.name}")
        start = source.index(self.old.encode())
        return Mutant(self.file, source[:start].count(b"\n") + 1, start, start + len(self.old.encode()), self.old, self.new, "behaviour")


def behaviours() -> list[Behaviour]:
    "Those that are listed."
    return [Behaviour(**one) for one in tomllib.loads(LISTED.read_text("utf-8"))["behaviour"]]


@contextmanager
def broken(copy: Copy, one: Behaviour) -> Iterator[None]:
    "The copy with a behaviour broken."
    if one.file in modules():
        with copy.mutated(one.change()):
            yield
        return
    path = copy.folder / one.file
    whole = path.read_text("utf-8")
    try:
        path.write_text(whole.replace(one.old, one.new), "utf-8")
        yield
    finally:
        path.write_text(whole, "utf-8")


def noticed(copy: Copy, one: Behaviour) -> str:
    "The first page or test that ends with an error, and passes without the change; empty: none."
    for check in [one.by] if one.by else copy.checks(one.file):
        with broken(copy, one):
            how = copy.run(check, LONGEST_S)
        if how == "error" and copy.sound(check):
            return check
    return ""


def main() -> int:
    words = sys.argv[1:]
    chosen = [one for one in behaviours() if not words or any(word in one.what for word in words)]
    with tempfile.TemporaryDirectory(prefix="ragwb-behaviours-") as folder:
        copy, missed = Copy(Path(folder)), 0
        for one in chosen:
            by = noticed(copy, one)
            missed += not by
            print(f"{'caught' if by else 'MISSED'}: {one.what} ({by or 'no assertion noticed it'})", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} are caught by an assertion")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
