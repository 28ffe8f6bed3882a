"""Where a number of the program is written, and the largest value that the source ever gives it.

A learning rate that grows over the first steps (a warm-up) is small at the first of them on purpose. So it matters
whether the source holds nothing but numbers for it, or computes it; what cannot be read from it is not guessed.
"""

import ast
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType

from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Op, Recording
from gradcheck.health.updates.records import LearningRate
from gradcheck.program.location import Location
from gradcheck.program.reading.reader import Reader, UnknownNameError, UnreadableError
from gradcheck.program.reading.tree import called, defaults, operands
from gradcheck.program.source import SourceMap, SourceUnit

_DEEPEST = 6
_CLOSE = 1e-9


class Writings:
    def __init__(self, recording: Recording, sources: SourceMap, places: Places) -> None:
        self._recording = recording
        self._sources = sources
        self._places = places
        self._known: dict[tuple[float, CodeType, int], LearningRate | None] = {}

    def learning_rate(self, number: float, op: Op) -> LearningRate | None:
        """What the source says of a number that `op` computes with; None if it has no text of its own there: inside
        an optimiser of torch's, or as a part of `lr / (1 - beta**t)`, it is not what the person knows it as."""
        key = abs(number), op.code, op.lasti  # one line moves all parameters in turn
        if key not in self._known:
            self._known[key] = self._learning_rate(abs(number), op)
        return self._known[key]

    def _learning_rate(self, value: float, op: Op) -> LearningRate | None:
        node = self._operand(value, op)
        if node is None:
            return None
        text = ast.unparse(node)
        if isinstance(node, ast.Constant):
            literal = self._place(op.code.co_filename, node)
            return LearningRate(value, text, self._places.location(op), value, literal)
        largest, places = self._largest(node, _DEEPEST), list(self._set_at(node, value).items())
        place, literals = places[0] if len(places) == 1 else (None, [])
        return LearningRate(value, text, place, largest, literals[0] if len(literals) == 1 else None)

    def made_at(self, name: str) -> Location | None:
        """Where the source makes what it calls `name`, if that is one statement."""
        found = []
        for unit, tree in self._all_trees():
            for node in ast.walk(tree):
                if not isinstance(node, ast.Assign) or not any(ast.unparse(t) == name for t in node.targets):
                    continue
                if any(ast.unparse(n) == name for n in ast.walk(node.value) if isinstance(n, ast.expr)):
                    continue  # its successor: `W = W - lr * dW`
                found.append(self._place(unit.filename, node))
        return found[0] if len(found) == 1 else None

    # -- the operand ---------------------------------------------------------------------------------------------

    def _operand(self, value: float, op: Op) -> ast.expr | None:
        """The part of the expression of `op` that is the number: a literal, or a name that held it."""
        node = self._places.node(op)
        parts = operands(node)[1:] if isinstance(node, ast.AugAssign) else operands(node)
        return next((part for part in map(_unsigned, parts) if self._is(part, value)), None)

    def _is(self, node: ast.expr, value: float) -> bool:
        number = _literal(node)
        if number is not None:
            return _same(number, value)
        if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            return False
        text = ast.unparse(node)
        held = [p.value for p in self._recording.plain if p.name == text]
        if any(_is_number(h) and _same(float(h), value) for h in held):  # type: ignore[arg-type]
            return True
        # What was seen to hold something else is not it: the gradient, say. Of `config.lr` nothing may be known.
        return not held and not any(text in (b.name, b.variable) for b in self._recording.bindings)

    # -- what else it may be -------------------------------------------------------------------------------------

    def _largest(self, node: ast.expr, deepest: int) -> float | None:
        """The largest value that an expression can have according to the source; None if that is not known."""
        if deepest == 0:
            return None
        number = _literal(node)
        if number is not None:
            return abs(number)
        if isinstance(node, ast.IfExp):
            return self._largest_of([node.body, node.orelse], deepest)
        if isinstance(node, (ast.Name, ast.Attribute)):
            assigned = list(self._assigned(node))
            return self._largest_of(assigned, deepest) if assigned else None
        return None

    def _largest_of(self, nodes: list[ast.expr], deepest: int) -> float | None:
        found = [self._largest(node, deepest - 1) for node in nodes]
        known = [number for number in found if number is not None]
        return max(known) if known and len(known) == len(found) else None

    def _assigned(self, wanted: ast.expr) -> Iterator[ast.expr]:
        """All that the source ever assigns to a name, or to an attribute of that name; where a value comes from
        elsewhere (the variable of a loop, a tuple), what is given back is no number."""
        for _, tree in self._all_trees():
            for node in ast.walk(tree):
                yield from _assigned_by(node, wanted)
        if isinstance(wanted, ast.Name):
            yield from handed_over([tree for _, tree in self._all_trees()], wanted)

    def _set_at(self, wanted: ast.expr, value: float) -> dict[Location, list[Location]]:
        """The places at which the source assigns the very number to it, and the literals there."""
        found = {}
        for unit, tree in self._all_trees():
            for node in ast.walk(tree):
                for given in _assigned_by(node, wanted):
                    same = [
                        n
                        for n in ast.walk(given)
                        if (number := _literal(n)) is not None and _same(number, value)
                    ]
                    if same:
                        literals = [
                            self._place(unit.filename, n) for n in same if isinstance(n, ast.Constant)
                        ]
                        found[self._place(unit.filename, given)] = literals
        return found

    def _place(self, filename: str, node: ast.stmt | ast.expr) -> Location:
        end, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return self._sources.location(filename, node.lineno, end, node.col_offset, end_column)

    def _all_trees(self) -> list[tuple[SourceUnit, ast.Module]]:
        return [(unit, unit.tree.module) for unit in list(self._sources.units.values())]


def _unsigned(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        node = node.operand
    return node


def _literal(node: ast.AST) -> float | None:
    """The number that is written there, of numbers alone: `0.1`, `1e-3`, `0.1 / 32`, `10**-2`."""
    if not isinstance(node, (ast.Constant, ast.UnaryOp, ast.BinOp)):
        return None
    try:
        value = Reader().read(node)
    except (UnknownNameError, UnreadableError, ArithmeticError, TypeError, ValueError):
        return None
    return float(value) if _is_number(value) else None


def _assigned_by(node: ast.AST, wanted: ast.expr) -> Iterator[ast.expr]:
    """What a piece of source gives to `wanted`."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if _is_it(target, wanted):
                yield node.value
            elif any(_is_it(part, wanted) for part in ast.walk(target)):
                yield from _unpacked(target, node.value, wanted)
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
        if node.value is not None and _is_it(node.target, wanted):
            yield node.value
    elif isinstance(node, ast.AugAssign):
        if _is_it(node.target, wanted) and not _shrinks(node):
            yield node.target  # grows by what it was: no number is written
    elif isinstance(node, (ast.For, ast.comprehension)):
        if any(_is_it(part, wanted) for part in ast.walk(node.target)):
            yield node.iter
    elif isinstance(node, ast.Call):
        name = wanted.id if isinstance(wanted, ast.Name) else getattr(wanted, "attr", "")
        yield from (k.value for k in node.keywords if k.arg == name and not _is_it(k.value, wanted))


def _unpacked(target: ast.expr, value: ast.expr, wanted: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        yield from (v for t, v in zip(target.elts, value.elts, strict=True) if _is_it(t, wanted))
    else:
        yield value


def _is_it(node: ast.AST, wanted: ast.expr) -> bool:
    """The same name; or an attribute of the same name, of whatever object."""
    if isinstance(node, ast.Name) and isinstance(wanted, ast.Name):
        return node.id == wanted.id
    return isinstance(node, ast.Attribute) and isinstance(wanted, ast.Attribute) and node.attr == wanted.attr


def _shrinks(node: ast.AugAssign) -> bool:
    number = _literal(node.value)
    if number is None:
        return False
    return (isinstance(node.op, ast.Mult) and 0 <= number <= 1) or (
        isinstance(node.op, ast.Div) and number >= 1
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _same(left: float, right: float) -> bool:
    return abs(abs(left) - abs(right)) <= _CLOSE * max(abs(left), abs(right))


@dataclass(frozen=True, slots=True)
class _Function:
    called: str  # the name it is called by: that of its class, for `__init__`
    definition: ast.FunctionDef | ast.AsyncFunctionDef
    is_method: bool


def handed_over(trees: Sequence[ast.Module], wanted: ast.Name) -> Iterator[ast.expr]:
    """The default of every argument `wanted`, and what is given for it in every call by position. (Calls that
    name it are found with the other assignments.) For an argument that is handed over in no visible way, `wanted`
    itself."""
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for function in _functions(trees):
        arguments = function.definition.args
        positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        keyword_only = [argument.arg for argument in arguments.kwonlyargs]
        if wanted.id not in positional and wanted.id not in keyword_only:
            continue
        found = [default for name, default in defaults(arguments).items() if name == wanted.id]
        for call in calls:
            if called(call) != function.called:
                continue
            if any(isinstance(a, ast.Starred) for a in call.args) or any(
                k.arg is None for k in call.keywords
            ):
                yield wanted
            position = positional.index(wanted.id) - function.is_method if wanted.id in positional else -1
            if 0 <= position < len(call.args):
                found.append(call.args[position])
            found += [keyword.value for keyword in call.keywords if keyword.arg == wanted.id]
        yield from (f for f in found or [wanted] if not found or getattr(f, "id", None) != wanted.id)


def _functions(trees: Sequence[ast.Module]) -> Iterator[_Function]:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef)
    methods: set[ast.AST] = set()
    for tree in trees:
        for node in ast.walk(tree):  # from the outside in: a class comes before its methods
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, definitions):
                        methods.add(inner)
                        name = node.name if inner.name == "__init__" else inner.name
                        static = any(ast.unparse(d) == "staticmethod" for d in inner.decorator_list)
                        yield _Function(name, inner, not static)
            elif isinstance(node, definitions) and node not in methods:
                yield _Function(node.name, node, False)
