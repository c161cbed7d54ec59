"""Every regular expression of the package, and strings made to keep each one busy. `python tests/tools/adversaries.py [MODULE ...]` times them all, or those
of some modules, and prints a JSON line for each; `--most 250` tries so many strings for each, evenly spread, instead of all."""
# ruff: noqa: E501, B023, SIM102

import argparse
import ast
import importlib
import json
import os
import pkgutil
import re
import re._constants as codes
import re._parser as parser
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

ANCHORED = {"match", "fullmatch"}
METHODS = ANCHORED | {"search", "sub", "subn", "split", "findall", "finditer"}
MANY = 8  # a repetition of fewer costs a constant


@dataclass(frozen=True)
class Found:
    "A regular expression and the ways in which the package uses it."
    place: str                # module and name, or module and line
    pattern: re.Pattern[Any]
    anchored: bool = False    # used by match and fullmatch alone


# What is known of single patterns
TRUSTED = {  # beginnings of places -> why nobody hostile writes what these patterns read
    "ragwb.commands.common": "the package's own metadata",
    "ragwb.experiments.published": "the pages and reports of this repository",
    "ragwb.experiments.decisions": "the decisions and the glossary of this repository",
    "ragwb.emulator.model": "a double of a service, for tests; the frame of its prompt is ours",
    "ragwb.generation.extractive PASSAGE": "the frame of the prompt is ours: each passage in it has its end, and no text can open another (FRAME_TAG)",
    "ragwb.guardrails.attack_rules BLANKS": "the rules of the page itself",
    "ragwb.network.aws:": "messages of the services that are called",
    "ragwb.network.model_servers:": "messages of the servers that are called",
}
BOUNDED = {  # place -> characters to which the code beside it cuts what the pattern reads
    "ragwb.guardrails.personal_data SECTION": 20,
    "ragwb.documents.identity UNTIL": 1_200,
    "ragwb.documents.identity EVENT": 6_000,
}


def made() -> dict[str, list[re.Pattern[Any]]]:
    "Patterns that are put together when they are used: module and expression -> examples; none where module-level values hold them all."
    from ragwb.api.access import RULES
    from ragwb.generation.answer_kinds import SAYS_WHAT, count_of, units_asked
    from ragwb.generation.fit import BESIDE
    from ragwb.guardrails.attack_rules import ATTACK_RULES, pattern_of
    from ragwb.network.aws import CAUSES
    from ragwb.network.model_servers import SERVER_CAUSES, SERVICE_CAUSES
    rules = [pattern_of(rule, joined) for rules in ATTACK_RULES.values() for _, rule in rules for joined in (False, True)]
    return {
        r"ragwb.answering.agreement pattern": [],
        r"ragwb.answering.contradictions f'\\b{end}\\b(?! wh)'": [re.compile(r"\bfrom\b(?! wh)")],
        r"ragwb.answering.routing words": [],
        r"ragwb.answering.synonyms pattern": [],
        r"ragwb.api.access rule.path": [re.compile(rule.path, re.DOTALL) for rule in RULES],
        "ragwb.api.problems re.sub('\\\\\\\\{\\\\w+\\\\\\\\}', part, re.escape(template))": [re.compile(f"/v1/documents/{part}/{part}", re.DOTALL) for part in ("[^/]+", ".+")],
        r"ragwb.answering.citations '\\s+'.join(map(re.escape, words))": [re.compile(r"alpha\s+beta\s+alpha\s+gamma")],
        r"ragwb.app.source_view '\\s+'.join(map(re.escape, words.split()))": [re.compile(r"alpha\s+beta\s+alpha\s+gamma", re.I)],
        r"ragwb.documents.identity f'\\b(?:{words})\\b'": [],
        r"ragwb.documents.parts_of_totals f'\\b(?:{nouns})\\b'": [],
        r"ragwb.documents.parts_of_totals words": [],
        r"ragwb.documents.table_words f'\\b(?:{asked})\\b'": [],
        r"ragwb.documents.periods pattern": [],
        r"""ragwb.documents.sheets b'(?:^|[\\s:])' + name.encode() + b'="([^"]*)"'""": [re.compile(rb'(?:^|[\s:])ref="([^"]*)"')],
        r"""ragwb.documents.sheets b'[<:]c (?=[^<>]{0,300}?\\bs="(' + styles + b')")[^<>]{0,300}?\\br="([A-Z]{1,3})(\\d{1,7})"'""":
            [re.compile(rb'[<:]c (?=[^<>]{0,300}?\bs="(3|14)")[^<>]{0,300}?\br="([A-Z]{1,3})(\d{1,7})"')],
        r"ragwb.documents.text '[^\\n]*\\n|[^\\n]+' if '\n' in text else '[^\\r]*\\r|[^\\r]+'": [re.compile(r"[^\n]*\n|[^\n]+"), re.compile(r"[^\r]*\r|[^\r]+")],
        r"""ragwb.documents.text f'{sign} "'""": [],
        r"""ragwb.documents.text f'({sign}) (?="(?!"))'""": [re.compile(r'(;) (?="(?!"))')],
        r"ragwb.documents.text single": [re.compile(r"(^|;)'([^'\n]{0,1000}+)'(?=[ \t\r]{0,9}+(?:;|$))", re.MULTILINE)],
        r"ragwb.emulator.service_model limits['pattern']": [],  # the service's own model
        r"ragwb.emulator.service_model path": [],
        r"ragwb.evaluation.quotes row": [],  # timed in tests/test_patterns.py: a line of a document and a person's quote
        r"ragwb.generation.answer_kinds asked": [],
        r"ragwb.generation.answer_kinds answer": [],
        r"ragwb.generation.answer_kinds f'\\b{one}s?\\b'": [re.compile(r"\bspaces?\b", re.I)],
        r"ragwb.generation.answer_kinds f'{before}|{behind}'": [count_of("space"), count_of("a")],
        r"ragwb.generation.answer_kinds labels": [],
        r"ragwb.generation.answer_kinds f'{often}{QUANTITY}[\\s-]{{0,2}}(?:[a-z]{{2,12}} )?(?:{found})(?!\\w)|{UNTIL}'": [
            pattern for question in ("How long is it?", "How many bytes?") if (pattern := units_asked(question))],
        r"ragwb.generation.answer_kinds says": [re.compile(rf"^\W*(?:(?:an?|the)\s+)?torques?\s*[:.|(—–-]|\btorques?\s+(?:\w+\s+)?(?:{SAYS_WHAT})\b", re.I)],
        r"ragwb.generation.answer_kinds f'\\b(?:called|known as|named)\\s+(?:an?\\s+|the\\s+)?{name}s?\\b'": [re.compile(r"\b(?:called|known as|named)\s+(?:an?\s+|the\s+)?torques?\b", re.I)],
        r"ragwb.generation.fit f'\\b({BESIDE}) {own}\\b'": [re.compile(rf"\b({BESIDE}) Gold\b")],
        r"ragwb.generation.fit f'\\b{own} ({BESIDE})\\b'": [re.compile(rf"\bGold ({BESIDE})\b")],
        r"ragwb.generation.fit f'\\b{short[0]}[a-z]+ (?:of )?(?:the )?{short[1]}[a-z]'": [re.compile(r"\bU[a-z]+ (?:of )?(?:the )?S[a-z]")],
        r"ragwb.generation.fit f'(?:^|[^\\w ]) ?{re.escape(thing)}'": [re.compile(r"(?:^|[^\w ]) ?members")],
        r"ragwb.generation.fit f'\\b{re.escape(label)}\\b'": [re.compile(r"\bmarathon\b")],
        r"ragwb.generation.fit slot": [re.compile(r"\bcontracts? ([A-Z][\w-]+)"), re.compile(r"(?<=[a-z,] )([A-Z][\w-]+) contract")],
        r"ragwb.guardrails.attack_rules BLANKS.sub(read, rule)": rules,
        r"ragwb.guardrails.obfuscation pattern": [re.compile(r"(?<!\w)competitor\ ltd(?!\w)")],
        r"ragwb.guardrails.personal_data pattern": [],
        r"ragwb.network.aws cause.says": [re.compile(cause.says, re.I) for cause in CAUSES],
        r"ragwb.network.model_servers cause.says": [re.compile(cause.says, re.I) for cause in (*SERVER_CAUSES, *SERVICE_CAUSES)],
    }


# All patterns of the package
def modules() -> list[str]:
    "Names of all modules of the package."
    import ragwb
    return [found.name for found in pkgutil.walk_packages(ragwb.__path__, "ragwb.")]


def held(value: Any, place: str, seen: set[int], module: str) -> Iterator[tuple[str, re.Pattern[Any]]]:
    "The patterns that a value holds: in containers, in the fields of a dataclass, in what a function closes over."
    if isinstance(value, re.Pattern):
        yield place, value
        return
    if id(value) in seen or isinstance(value, str | bytes | int | float | ModuleType) or value is None:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        inner = [(f"{place}[{key!r}]"[:120], item) for key, item in list(value.items())[:5_000]]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = [(f"{place}[{at}]", item) for at, item in enumerate(list(value)[:5_000])]
    elif is_dataclass(value) and not isinstance(value, type):
        inner = [(f"{place}.{field.name}", getattr(value, field.name, None)) for field in fields(value)]
    elif isinstance(value, FunctionType):
        inner = [(f"{place}()", cell.cell_contents) for cell in value.__closure__ or () if cell.cell_contents is not value]
        inner += [(f"{place}()", default) for default in value.__defaults__ or ()]
    elif isinstance(value, type) and value.__module__ == module:
        inner = [(f"{place}.{name}", item) for name, item in vars(value).items() if not name.startswith("__")]
    else:
        return
    for name, item in inner:
        yield from held(item, name, seen, module)


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    "The calls re.NAME(pattern, ...) of a module."
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and node.func.value.id == "re":
            if node.func.attr in METHODS | {"compile"}:
                yield node, node.func.attr


def uses() -> dict[tuple[str, str], set[str]]:
    "How each name of each module is used as a pattern, there and where it is imported: (module, name) -> methods."
    found: dict[tuple[str, str], set[str]] = {}
    for module in modules():
        tree = ast.parse(source_of(module))
        origin = {name.asname or name.name: getattr(sys.modules[module], name.name, None) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names if hasattr(sys.modules[module], name.name)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                of: ast.expr = node.value
                while isinstance(of, ast.Subscript):
                    of = of.value
                if isinstance(of, ast.Name):
                    value = origin.get(of.id)
                    homes = [home for home in modules() if value is not None and getattr(sys.modules.get(home), of.id, None) is value] if of.id in origin else [module]
                    for home in homes:
                        found.setdefault((home, of.id), set()).add(node.attr)
    return found


def source_of(module: str) -> str:
    "The source of a module."
    origin = importlib.import_module(module).__file__
    assert origin
    return Path(origin).read_text(encoding="utf-8")


def patterns_of(module: str, used: dict[tuple[str, str], set[str]], examples: dict[str, list[re.Pattern[str]]]) -> tuple[list[Found], list[str]]:
    "The patterns of a module, and the calls whose pattern is not known before they run, for which the examples stand."
    space = vars(importlib.import_module(module))
    found = {}
    for name, value in list(space.items()):
        if not name.startswith("__"):
            for place, pattern in held(value, name, set(), module):
                methods = used.get((module, re.split(r"[\[.(]", place)[0]), set())
                found[pattern.pattern, pattern.flags] = Found(f"{module} {place}", pattern, bool(methods) and methods <= ANCHORED)
    unknown = []
    for node, method in calls(ast.parse(source_of(module))):
        flags = next((keyword.value for keyword in node.keywords if keyword.arg == "flags"), None)
        if at := {"compile": 1, "search": 2, "match": 2, "fullmatch": 2, "findall": 2, "finditer": 2}.get(method):
            flags = node.args[at] if len(node.args) > at else flags
        try:
            flag = eval(compile(ast.Expression(flags), module, "eval"), space) if flags else 0
            given = [eval(compile(ast.Expression(node.args[0]), module, "eval"), space)]
        except NameError:
            said = f"{module} {ast.unparse(node.args[0])}"
            unknown.append(said)
            given, flag = list[Any](examples.get(said, ())), 0
        for text in given:
            pattern = re.compile(text, flag)
            found.setdefault((pattern.pattern, pattern.flags), Found(f"{module}:{node.lineno}", pattern, method in ANCHORED))
    return list(found.values()), unknown


# Strings for a pattern
UNIVERSE = [chr(c) for c in range(1, 128)] + list("éÀßÿñąʏаあ漢한²٣\u00a0\u200b\u0301\u2028’“”‘«»„…。！？」•–—−€£¥®™°º§�𝒜\U000e0041")


def member(op: Any, value: Any, char: str, ignore: bool, dotall: bool) -> bool:
    "Whether an atom of a parsed pattern matches a character."
    tried = {char, char.lower(), char.upper()} if ignore else {char}
    if op is codes.ANY:
        return dotall or char != "\n"
    if op is codes.LITERAL:
        return any(len(c) == 1 and ord(c) == value for c in tried)
    if op is codes.NOT_LITERAL:
        return not any(len(c) == 1 and ord(c) == value for c in tried)
    if op is codes.IN:
        hit, negated = False, False
        for kind, item in value:
            if kind is codes.NEGATE:
                negated = True
            elif kind is codes.LITERAL:
                hit |= any(len(c) == 1 and ord(c) == item for c in tried)
            elif kind is codes.RANGE:
                hit |= any(len(c) == 1 and item[0] <= ord(c) <= item[1] for c in tried)
            elif kind is codes.CATEGORY:
                hit |= CATEGORIES[item](char)
        return hit != negated
    return False


CATEGORIES: dict[Any, Callable[[str], bool]] = {
    codes.CATEGORY_DIGIT: str.isdecimal, codes.CATEGORY_NOT_DIGIT: lambda c: not c.isdecimal(),
    codes.CATEGORY_SPACE: str.isspace, codes.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
    codes.CATEGORY_WORD: lambda c: c.isalnum() or c == "_", codes.CATEGORY_NOT_WORD: lambda c: not (c.isalnum() or c == "_"),
}
ATOMS = {codes.ANY, codes.LITERAL, codes.NOT_LITERAL, codes.IN}
REPEATS = {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}


class Reader:
    "Strings that a pattern likes, from its parsed form."

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self.tree = parser.parse(pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1"), pattern.flags & ~re.DEBUG & ~(re.UNICODE if isinstance(pattern.pattern, bytes) else 0))
        flags = pattern.flags | self.tree.state.flags
        self.ignore, self.dotall = bool(flags & re.IGNORECASE), bool(flags & re.DOTALL)
        self.repeats: list[tuple[str, Any]] = []  # (what comes before, body)
        self.cuts: list[str] = []                 # beginnings of what the pattern matches
        self.groups: dict[int, str] = {}
        self.known: dict[str, dict[str, None]] = {}  # atom -> the characters that it matches
        self.walk(self.tree, "")

    def chars(self, op: Any, value: Any) -> dict[str, None]:
        "The characters that an atom matches, in the order of UNIVERSE."
        key = repr((op, value))
        if key not in self.known:
            self.known[key] = dict.fromkeys(c for c in UNIVERSE if member(op, value, c, self.ignore, self.dotall))
        return self.known[key]

    def sample(self, nodes: Any, which: int = 0) -> str:
        "One string that a sequence matches; of alternatives, the one with this number."
        said = ""
        for op, value in nodes:
            if op in ATOMS:
                chars = list(self.chars(op, value))
                letters = [c for c in chars if c.isalnum()] or chars
                said += letters[which % len(letters)] if letters else chr(value) if op is codes.LITERAL else ""
            elif op in REPEATS:
                said += self.sample(value[2], which) * min(max(value[0], which % 2 if value[1] else 0), 50)
            elif op is codes.BRANCH:
                said += self.sample(value[1][which % len(value[1])], which)
            elif op is codes.SUBPATTERN:
                text = self.sample(value[3], which)
                if value[0]:
                    self.groups[value[0]] = text
                said += text
            elif op is codes.ATOMIC_GROUP:
                said += self.sample(value, which)
            elif op is codes.GROUPREF:
                said += self.groups.get(value, "")
            elif op is codes.GROUPREF_EXISTS:
                said += self.sample(value[1], which)
        return said

    def walk(self, nodes: Any, before: str) -> None:
        "Notes all repetitions, with a string that leads to each, and all beginnings."
        for op, value in nodes:
            self.cuts.append(before)
            if op in REPEATS:
                if value[1] is codes.MAXREPEAT or value[1] >= 2:
                    self.repeats.append((before, value[2]))
                self.walk(value[2], before)
            elif op is codes.BRANCH:
                for branch in value[1]:
                    self.walk(branch, before)
            elif op is codes.SUBPATTERN:
                self.walk(value[3], before)
            elif op is codes.ATOMIC_GROUP:
                self.walk(value, before)
            elif op in (codes.ASSERT, codes.ASSERT_NOT) and value[0] > 0:
                self.walk(value[1], before)
            before += self.sample([(op, value)])
        self.cuts.append(before)

    def atoms(self, nodes: Any) -> Iterator[tuple[Any, Any]]:
        for op, value in nodes:
            if op in ATOMS:
                yield op, value
            elif op in REPEATS:
                yield from self.atoms(value[2])
            elif op is codes.BRANCH:
                for branch in value[1]:
                    yield from self.atoms(branch)
            elif op is codes.SUBPATTERN:
                yield from self.atoms(value[3])
            elif op is codes.ATOMIC_GROUP:
                yield from self.atoms(value)
            elif op in (codes.ASSERT, codes.ASSERT_NOT):
                yield from self.atoms(value[1])

    def kinds(self) -> list[str]:
        "One character for each way in which characters can meet the repeated atoms of the pattern."
        atoms, seen = [], set()
        for _, body in self.repeats:
            for op, value in self.atoms(body):
                if (key := repr((op, value))) not in seen:
                    seen.add(key)
                    atoms.append((op, value))
        found: dict[tuple[bool, ...], str] = {}
        for char in sorted(UNIVERSE, key=lambda c: (not c.isalnum(), c not in " \n\t.,-_", c)):
            met = tuple(char in self.chars(op, value) for op, value in atoms)
            if any(met):
                found.setdefault(met, char)
        return list(found.values())


def seeds(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str, str]]:
    "(before, repeated, after) of all strings that may keep a pattern busy."
    read = Reader(pattern)
    kinds = read.kinds()[:24]
    endings = ("", "\x00", "!", "\n", " a")
    tried = set()

    def once(before: str, pump: str, after: str) -> Iterator[tuple[str, str, str]]:
        if pump and (key := (before, pump, after)) not in tried:
            tried.add(key)
            yield key

    for char in [*kinds, *"a0 \n\t._-|A,'\"([{<>/\\*#&=:;%@!?é。"]:
        for after in ("\x00", "a", ""):
            yield from once("", char, after)
    for before, body in read.repeats:
        own = [char for char in kinds if any(char in read.chars(op, value) for op, value in read.atoms(body))][:8]
        bodies = [read.sample(body, which) for which in range(4)]
        for pump in [*own, *bodies]:
            for after in endings:
                yield from once(before, pump, after)
        for first in own[:5]:
            for second in kinds[:8]:
                yield from once(before, first + second, "\x00")
        for pump in own[:6]:  # many places to begin at, and a run behind each of them
            yield from once("", before + pump, "\x00")
            yield from once("", before + pump * 300, "\x00")
    for cut in dict.fromkeys(read.cuts):
        for after in ("\x00", "\n"):
            yield from once("", cut, after)
            yield from once("", cut + " ", after)
    for which in range(6):
        yield from once("", read.sample(read.tree, which), "\x00")
        yield from once("", read.sample(read.tree, which) + " ", "\x00")
    for at, first in enumerate(kinds[:10]):
        for second in kinds[:at][:10]:
            yield from once("", first + second, "\x00")


def hostile(seed: tuple[str, str, str], size: int) -> str:
    "The string of about this size."
    before, pump, after = seed
    return before + pump * max(1, (size - len(before) - len(after)) // len(pump)) + after


# Timing
class TooLong(Exception):
    "A call took longer than its limit."


def seconds(work: Callable[[], object], limit: float) -> float:
    "Seconds of the processor that a call takes; one that takes longer than five times the limit by the clock is ended: the engine of `re` looks for signals."
    def stop(number: int, frame: object) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 5 * limit)
    begin = time.process_time()
    try:
        work()
        return time.process_time() - begin
    except TooLong:
        return max(limit, time.process_time() - begin)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def run(found: Found, text: str) -> object:
    "A pattern used on a text as the package uses it."
    given: Any = text if isinstance(found.pattern.pattern, str) else text.encode("latin-1", "replace")
    if found.anchored:
        return found.pattern.match(given), found.pattern.fullmatch(given)
    return sum(1 for _ in found.pattern.finditer(given))


def chosen(pattern: re.Pattern[Any], most: int) -> list[tuple[str, str, str]]:
    "At most so many of the strings for a pattern, evenly spread."
    found = list(seeds(pattern))
    return found[::max(1, -(-len(found) // most))] if most else found


def best(work: Callable[[], object], enough: float, limit: float, tries: int = 4) -> float:
    "The least time of some tries; the first that is short enough will do: a busy machine only adds."
    least = float("inf")
    for _ in range(tries):
        least = min(least, seconds(work, limit))
        if least <= enough or least >= limit:
            break
    return least


def slow_seed(found: Found, most: int = 0, size: int = 100_000, allowed: float = 0.05) -> tuple[float, tuple[str, str, str]] | None:
    """The first string on which a pattern takes longer than allowed, with the seconds that it took (about 0.6 at most). Strings of 1/25 of the size are tried
    first. A pattern whose time grows no faster than its text may take eight times as long: the machine may be busy, and some
    patterns have many branches."""
    for seed in chosen(found.pattern, most):
        short = hostile(seed, max(size // 25, 1))
        if best(lambda: run(found, short), allowed / 25, 0.1) <= allowed / 25:
            continue
        text, quarter = hostile(seed, size), hostile(seed, size // 4)
        took = best(lambda: run(found, text), allowed, 12 * allowed)
        if took > allowed and (took > 8 * allowed or took > 8 * best(lambda: run(found, quarter), allowed / 8, 12 * allowed)):
            return took, seed
    return None


def all_patterns(names: list[str]) -> tuple[list[Found], list[str]]:
    "The patterns of some modules, each once, and the expressions that are put together when they are used."
    for name in modules():
        importlib.import_module(name)
    used, examples, found, unknown = uses(), made(), dict[tuple[Any, int, bool], Found](), list[str]()
    for module in names or modules():
        here, left = patterns_of(module, used, examples)
        unknown += left
        for one in here:
            found.setdefault((one.pattern.pattern, one.pattern.flags, one.anchored), one)
    return list(found.values()), unknown


def tell(line: dict[str, Any]) -> None:
    "Prints a line in one piece: several processes write, and `print` writes the end of a line apart where nothing is buffered."
    os.write(1, (json.dumps(line) + "\n").encode())


def timed(one: Found, most: int) -> dict[str, Any]:
    "The line of a pattern: its place and, if it is slow, its seconds and the string. That it is begun is printed before."
    tell({"begun": one.place})
    slow = slow_seed(one, most, BOUNDED.get(one.place, 100_000))
    return {"place": one.place} | ({"seconds": round(slow[0], 3), "seed": slow[1], "pattern": str(one.pattern.pattern)[:300]} if slow else {})


def main() -> None:
    "Prints the slow patterns of the modules named, or of all. Each has a line when it is begun and one when it is done: a run that is ended tells where it was."
    parser_ = argparse.ArgumentParser()
    parser_.add_argument("modules", nargs="*")
    parser_.add_argument("--most", type=int, default=0)
    given = parser_.parse_args()
    found, unknown = all_patterns(given.modules)
    tell({"made": unknown})
    hostile_ones = [one for one in found if not one.place.startswith(tuple(TRUSTED))]
    with ProcessPoolExecutor() as processes:
        for line in as_completed([processes.submit(timed, one, given.most) for one in hostile_ones]):
            tell(line.result())


if __name__ == "__main__":
    main()
