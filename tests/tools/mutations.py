"""Small changes of a module's source, as tests/tools/mutants.py tries them. Not changed: text and f-strings, annotations, assertions, and promises to the
reader that no run can break (`strict=`, `frozen=`, `slots=`)."""

import ast
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import accumulate

COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In,
               ast.Is: ast.IsNot, ast.IsNot: ast.Is}
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
              ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr}
TEXT = (ast.JoinedStr, ast.List, ast.ListComp, ast.Tuple)  # whose sum is no arithmetic
LARGE = 100  # an integer of which one more is no other behaviour
SETTLED = (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Constant)  # conditions that are changed in another way


@dataclass(frozen=True)
class Mutant:
    "A small change of a module."
    path: str   # ragwb/room/page.py
    line: int
    start: int  # bytes start to end of the source become `new`
    end: int
    old: str
    new: str
    kind: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.kind}: `{' '.join(self.old.split())}` → `{self.new}`"


def left_alone(parent: ast.AST, field: str, node: ast.AST) -> bool:
    "Whether nothing below a node is mutated."
    return (field in ("annotation", "returns") or isinstance(node, (ast.JoinedStr, ast.Assert))
            or isinstance(node, ast.keyword) and node.arg in ("strict", "frozen", "slots")
            or isinstance(parent, ast.Module) and isinstance(node, ast.Assign) and isinstance(node.value, (ast.BinOp, ast.Subscript)))  # an alias of types


def with_parents(tree: ast.AST) -> Iterator[tuple[ast.AST, str, ast.AST]]:
    "Each node that may be mutated, behind its parent and its field there."
    for field, value in ast.iter_fields(tree):
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and not left_alone(tree, field, node):
                yield tree, field, node
                yield from with_parents(node)


def changed(node: ast.AST, **fields: object) -> str:
    "The source of a node with other fields."
    made = deepcopy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return ast.unparse(made)


def variants(parent: ast.AST, field: str, node: ast.AST) -> Iterator[tuple[str, str]]:
    "What may stand in a node's place: kind and source."
    kind = "default argument" if isinstance(parent, ast.arguments) else "constant"
    match node:
        case ast.Compare(ops=ops):
            for n, op in enumerate(ops):
                yield "comparison", changed(node, ops=[*ops[:n], COMPARISONS[type(op)](), *ops[n + 1:]])
        case ast.BoolOp(op=op):
            yield "boolean", changed(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not dropped", ast.unparse(operand)
        case ast.BinOp(op=op, left=left, right=right) if type(op) in ARITHMETIC:
            if not any(isinstance(side, TEXT) or isinstance(side, ast.Constant) and isinstance(side.value, str) for side in (left, right)):
                yield "arithmetic", changed(node, op=ARITHMETIC[type(op)]())
        case ast.Constant(value=bool(value)):
            yield kind, str(not value)
        case ast.Constant(value=int(value)):
            yield kind, str(value + 1 if abs(value) < LARGE else value * 2)
        case ast.Constant(value=float(value)):
            yield kind, str(value * 2 or 1.0)
        case ast.Constant(value=str(value)) if value and kind == "default argument":
            yield kind, '""'
        case ast.Return(value=value):
            if value is not None and not (isinstance(value, ast.Constant) and not value.value):
                yield "return value", "return None"
            if isinstance(parent, (ast.If, ast.For, ast.While)):
                yield "early return dropped", "pass"
        case ast.Raise() if isinstance(parent, ast.If):
            yield "raise dropped", "pass"
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign():
            yield "statement dropped", "pass"
        case ast.Continue() | ast.Break():
            yield "jump dropped", "pass"
    if field in ("test", "ifs") and not isinstance(node, SETTLED) and ast.unparse(node) != "TYPE_CHECKING":
        yield "condition negated", f"not ({ast.unparse(node)})"


def mutants_of(path: str, source: bytes) -> Iterator[Mutant]:
    "All changes of a module."
    begins = [0, *accumulate(map(len, source.splitlines(keepends=True)))]  # of lines
    for parent, field, node in with_parents(ast.parse(source)):
        for kind, new in variants(parent, field, node):
            start, end = begins[node.lineno - 1] + node.col_offset, begins[node.end_lineno - 1] + node.end_col_offset
            bare = isinstance(node, (ast.stmt, ast.Constant))  # needs no parentheses
            yield Mutant(path, node.lineno, start, end, source[start:end].decode(), new if bare else f"({new})", kind)
