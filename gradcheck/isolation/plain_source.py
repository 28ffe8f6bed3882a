"""The person's source around a recorded step: the training loop, its functions, and what they do to plain numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType

from gradcheck.fronts.tape import Recording
from gradcheck.program.loops import LoopSite
from gradcheck.program.reading.tree import Function, called, with_owner
from gradcheck.program.source import SourceMap


@dataclass
class LoopSource:
    """The training loop. `body` are its statements in order, those of `with` blocks among them."""

    site: LoopSite
    node: ast.For | ast.While
    body: list[ast.stmt] = field(init=False)

    def __post_init__(self) -> None:
        self.body = list(_flat(self.node.body))

    def statement_at(self, line: int) -> int | None:
        """The index in `body` of the statement that a line belongs to."""
        return next(
            (i for i, s in enumerate(self.body) if s.lineno <= line <= (s.end_lineno or s.lineno)), None
        )

    def targets(self) -> list[str]:
        if isinstance(self.node, ast.While):
            return []
        return [node.id for node in ast.walk(self.node.target) if isinstance(node, ast.Name)]

    def counting(self) -> tuple[str, ast.expr, ast.expr] | None:
        """The loop variable that counts, where from, and by how much each time."""
        zero, one = ast.Constant(0), ast.Constant(1)
        if not isinstance(self.node, ast.For):
            return None
        target, over = self.node.target, self.node.iter
        while isinstance(over, ast.Call) and called(over) == "tqdm" and over.args:
            over = over.args[0]
        if not isinstance(over, ast.Call):
            return None
        name = called(over)
        if name == "enumerate" and isinstance(target, ast.Tuple) and isinstance(target.elts[0], ast.Name):
            return target.elts[0].id, over.args[1] if len(over.args) > 1 else zero, one
        if not isinstance(target, ast.Name):
            return None
        given = over.args
        if name == "count":
            return target.id, given[0] if given else zero, given[1] if len(given) > 1 else one
        if name in ("range", "trange"):
            return target.id, given[0] if len(given) > 1 else zero, given[2] if len(given) > 2 else one
        return None


class PlainSource:
    def __init__(self, recording: Recording, sources: SourceMap) -> None:
        self._recording = recording
        self._sources = sources
        self._trees = [unit.tree for unit in list(sources.units.values())]
        self.functions = [node for tree in self._trees for node in tree.functions]

    def loop(self, begin: int, end: int) -> LoopSource | None:
        """The loop whose iteration was recorded from op `begin` to op `end`."""
        opened = {mark.loop for mark in self._recording.marks if mark.what == "step" and mark.when == begin}
        closed = {mark.loop for mark in self._recording.marks if mark.what == "step-end" and mark.when == end}
        for number in opened & closed:
            site = self._sources.loops.sites.get(number)
            unit = self._sources.units.get(site.filename) if site is not None else None
            if site is None or unit is None:
                continue
            for node in unit.tree.nodes:
                lines = site.line, site.end_line
                if isinstance(node, (ast.For, ast.While)) and (node.lineno, node.end_lineno) == lines:
                    return LoopSource(site, node)
        return None

    def function(self, code: CodeType) -> Function | None:
        """Whose code it is; None at the top level."""
        unit = self._sources.units.get(code.co_filename)
        return unit.tree.function(code.co_name, code.co_firstlineno) if unit is not None else None

    def _everything(self) -> Iterator[tuple[Function | None, ast.AST]]:
        for tree in self._trees:
            yield from with_owner(tree.module)

    def call_sites(self, function: Function) -> list[tuple[Function | None, ast.Call]]:
        """Every call of something of that name, and the function it is in."""
        return [
            (owner, node)
            for owner, node in self._everything()
            if isinstance(node, ast.Call) and called(node) == function.name
        ]

    def attribute_writes(self, attribute: str) -> list[tuple[Function | None, ast.stmt]]:
        """Every statement that sets an attribute of that name on anything, and the function it is in; `__init__`
        only makes the object."""
        return [
            (owner, node)
            for owner, node in self._everything()
            if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign))
            and not (owner is not None and owner.name == "__init__")
            and any(
                isinstance(part, ast.Attribute) and part.attr == attribute and isinstance(part.ctx, ast.Store)
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
                for part in ast.walk(target)
            )
        ]


def _flat(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in statements:
        if isinstance(statement, ast.With):
            yield from _flat(statement.body)
        else:
            yield statement
