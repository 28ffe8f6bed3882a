"""What the rest of a program can still reach, read from its source: may a gradient be computed once more?

Asked when the last wanted training step is on the tape. Everything after it that cannot lead to another backward pass
(calibration, evaluation, sampling) need not be recorded. The answer errs to one side: a name that is mentioned may be
called, an attribute that is mentioned may be any method of that name, and what cannot be read may do anything.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence
from types import CodeType, FrameType

from gradcheck.fronts.gradient_code import (
    DEFINITIONS,
    Part,
    function_part,
    is_operator,
    may_hold,
    part_of,
    without_called,
)
from gradcheck.program import live_cell, runner
from gradcheck.program.reading.tree import Tree, first_line_of
from gradcheck.program.source import SourceMap

RUNNERS = {runner.__file__, live_cell.__file__}  # what called them is no part of the program
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


class Reach:
    def __init__(self, sources: SourceMap) -> None:
        self._sources = sources
        self._parts: dict[str, list[Part]] = {}  # what a name may run
        self._inside: dict[tuple[CodeType, int], bool] = {}
        self._read: set[str] = set()  # files whose definitions are in `_parts`

    def gradients_after(self, frame: FrameType) -> bool:
        """Whether what follows the loop that `frame` is in may compute gradients. The loops around it are left
        as soon as their iteration ends, in this frame and in those that called it."""
        rest: list[ast.AST] = []
        caller: FrameType | None = frame
        outermost = frame
        while caller is not None and caller.f_code.co_filename not in RUNNERS:
            if self._sources.is_user(caller.f_code.co_filename):
                body = self._body(caller)
                if body is None:
                    return True
                rest += _after(body, caller.f_lineno)
                outermost = caller
            caller = caller.f_back
        for filename in self._units_after(outermost.f_code.co_filename):
            tree = self._tree(filename)
            if tree is None:
                continue  # a cell that is no Python raises when its turn comes
            rest += tree.module.body
        return self._reaches(rest)

    def gradients_in_loop(self, frame: FrameType) -> bool:
        """Whether the loop at whose header `frame` stands may compute gradients."""
        body = self._body(frame)
        loops = _around(body or (), frame.f_lineno)
        return body is None or (bool(loops) and self._reaches(loops[-1].body))

    def inside_loop(self, frame: FrameType | None) -> bool:
        """Whether `frame` is in the body of a loop, or was called from one."""
        while frame is not None and frame.f_code.co_filename not in RUNNERS:
            code = frame.f_code
            if self._sources.is_user(code.co_filename):
                key = code, frame.f_lineno
                if key not in self._inside:
                    body = self._body(frame)
                    self._inside[key] = body is None or any(
                        loop.body[0].lineno <= frame.f_lineno for loop in _around(body, frame.f_lineno)
                    )
                if self._inside[key]:
                    return True
            frame = frame.f_back
        return False

    # -- what is reached -------------------------------------------------------------------------------------

    def _reaches(self, nodes: Sequence[ast.AST]) -> bool:
        self._read_definitions()
        part = part_of(nodes)
        if part.works:
            return True
        seen: set[str] = set()
        # Operators and calls of objects name none of the methods that they call.
        pending = [*part.mentions, *(name for name in self._parts if is_operator(name))]
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            for found in self._parts.get(name, ()):
                if found.works:
                    return True
                pending += found.mentions
        return False

    def _read_definitions(self) -> None:
        for filename in list(self._sources.units):
            if filename not in self._read:
                self._read.add(filename)
                tree = self._tree(filename)
                if tree is not None:
                    self._define(tree.module.body)

    def _define(self, body: Sequence[ast.stmt]) -> None:
        for top in body:
            for node in ast.walk(top):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    self._parts.setdefault(node.name, []).append(function_part(node))
                elif isinstance(node, ast.ClassDef):
                    statements = [s for s in node.body if not isinstance(s, DEFINITIONS)]
                    made = part_of([*statements, *node.decorator_list, *node.bases])
                    made.mentions |= {"__init__"}
                    self._parts.setdefault(node.name, []).append(made)
                elif isinstance(node, ast.Assign):
                    # Another name for a function, or something that holds one.
                    handed_on = part_of([without_called(node.value)]) if may_hold(node.value) else None
                    for target in node.targets if handed_on is not None else ():
                        if isinstance(target, (ast.Name, ast.Attribute)) and handed_on is not None:
                            name = target.id if isinstance(target, ast.Name) else target.attr
                            self._parts.setdefault(name, []).append(handed_on)

    # -- source ----------------------------------------------------------------------------------------------

    def _tree(self, filename: str) -> Tree | None:
        unit = self._sources.unit(filename)
        return unit.tree if unit is not None and unit.tree.error is None else None

    def _units_after(self, filename: str) -> Iterator[str]:
        """The cells that follow one: those of a notebook are known, in their order, before it runs."""
        unit = self._sources.units.get(filename)
        if unit is not None and unit.cell is not None:
            for other in list(self._sources.units.values()):
                if other.cell is not None and other.cell > unit.cell:
                    yield other.filename

    def _body(self, frame: FrameType) -> Sequence[ast.AST] | None:
        """The statements of the function that `frame` runs, or of its module; None if they are not found."""
        code = frame.f_code
        tree = self._tree(code.co_filename)
        if tree is None:
            return None
        if code.co_name == "<module>":
            return tree.module.body
        named = code.co_name, code.co_firstlineno
        for node in tree.nodes:
            if isinstance(node, DEFINITIONS) and (node.name, first_line_of(node)) == named:
                return node.body
        if code.co_name in ("<lambda>", "<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"):
            return []  # an expression: the statement around it is in the frame that called it
        return None


def _after(body: Iterable[ast.AST], line: int) -> Iterator[ast.AST]:
    """What runs after `line`, if the loops that hold it end."""
    for node in body:
        first = getattr(node, "lineno", 0)
        last = getattr(node, "end_lineno", None) or first
        if first > line:
            yield node
        elif last >= line and isinstance(node, ast.stmt):
            inner = node.body if hasattr(node, "body") and not isinstance(node, DEFINITIONS) else []
            if not (isinstance(node, _LOOPS) and line < inner[0].lineno):  # at its header, it ends
                yield from _after(inner, line)
            yield from getattr(node, "handlers", ())
            yield from getattr(node, "orelse", ())
            yield from getattr(node, "finalbody", ())
            for case in getattr(node, "cases", ()):
                yield from _after(case.body, line)


def _around(body: Iterable[ast.AST], line: int) -> list[ast.For | ast.AsyncFor | ast.While]:
    """The loops that hold `line`, the outermost first; functions in between are another frame's."""
    found: list[ast.For | ast.AsyncFor | ast.While] = []
    pending = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, DEFINITIONS) or not isinstance(node, ast.AST):
            continue
        first, last = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
        if first is not None and last is not None and not first <= line <= last:
            continue
        if isinstance(node, _LOOPS):
            found.append(node)
        pending += ast.iter_child_nodes(node)
    return sorted(found, key=lambda loop: loop.lineno)
