"""What the rules share: the statement an edit is made in, and the list of the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from benchmarks.planted.scenes import Scene, expressions, plain, text


@dataclass(frozen=True)
class Edit:
    """A whole program after an edit. `free`: names that now hold something else, on purpose."""

    kind: str
    units: tuple[str, ...]
    what: str
    renamed: Mapping[str, str] = field(default_factory=dict)  # new name -> old name
    free: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Place:
    """A backward statement in its program: `line` stands in the block `block` of the unit `unit`."""

    modules: tuple[cst.Module | str, ...]  # marked; a text: what LibCST cannot read, for a magic in it
    unit: int
    line: cst.SimpleStatementLine
    rows: tuple[int, int]  # of the text it stands in
    scene: Scene
    library: str  # torch or np
    names: frozenset[str]  # all that are written in the program

    @property
    def small(self) -> Any:
        return self.line.body[0]

    @property
    def module(self) -> cst.Module:
        module = self.modules[self.unit - 1]
        assert isinstance(module, cst.Module)
        return module

    @property
    def readable(self) -> list[cst.Module]:
        return [module for module in self.modules if isinstance(module, cst.Module)]

    @property
    def texts(self) -> list[str]:
        return [text_of(module) for module in self.modules]

    @property
    def target(self) -> str | None:
        """The name the statement assigns to, if it is one and nothing else."""
        if isinstance(self.small, cst.Assign) and len(self.small.targets) == 1:
            target = self.small.targets[0].target
            return target.value if isinstance(target, cst.Name) else None
        return None

    def unused(self, *wanted: str) -> str:
        """The first of the names that is not in the program yet."""
        return next(
            name for name in (*wanted, *(f"{wanted[0]}_{n}" for n in range(99))) if name not in self.names
        )

    def with_lines(self, *lines: Any) -> tuple[str, ...]:
        """The texts of the program with these statements in place of the one."""
        texts = self.texts
        rows = texts[self.unit - 1].split("\n")
        first, last = self.rows
        indent = rows[first - 1][: len(rows[first - 1]) - len(rows[first - 1].lstrip())]
        new = "".join(text(line.with_changes(leading_lines=())) for line in lines).rstrip("\n").split("\n")
        rows[first - 1 : last] = [indent + row if row else row for row in new]
        texts[self.unit - 1] = "\n".join(rows)
        return tuple(texts)

    def with_module(self, module: Any) -> tuple[str, ...]:
        texts = self.texts
        texts[self.unit - 1] = module.code
        return tuple(texts)


def text_of(module: cst.Module | str) -> str:
    return module if isinstance(module, str) else module.code


class Replaced(cst.CSTTransformer):
    def __init__(self, old: cst.CSTNode, lines: tuple[Any, ...]) -> None:
        super().__init__()
        self.old, self.lines = old, lines

    def leave_SimpleStatementLine(self, original_node: Any, updated_node: Any) -> Any:  # noqa: N802
        if original_node is not self.old:
            return updated_node
        return cst.FlattenSentinel(self.lines) if self.lines else cst.RemoveFromParent()


Expressions = Callable[[Any, Place], Iterator[cst.BaseExpression]]
Statements = Callable[[Place, str], Iterator[Edit]]
RULES: dict[str, Statements] = {}  # by the kind of edit


def of_statement(kind: str) -> Callable[[Statements], Statements]:
    """A rule for a whole backward statement and what stands around it."""

    def register(rule: Statements) -> Statements:
        RULES[kind] = rule
        return rule

    return register


def of_expression(kind: str) -> Callable[[Expressions], Expressions]:
    """A rule for one expression of a backward statement: other ways to write it."""

    def register(rule: Expressions) -> Expressions:
        def edits(place: Place, kind: str) -> Iterator[Edit]:
            for node in expressions(place.small):
                for new in rule(node, place):
                    units = place.with_lines(place.line.deep_replace(node, new))
                    yield Edit(kind, units, f"{text(node)} -> {plain(new)}")

        RULES[kind] = edits
        return rule

    return register


def loads(node: cst.CSTNode) -> list[str]:
    """The plain names in an expression, in order: neither attributes nor keywords."""
    found: dict[str, None] = {}

    class Names(cst.CSTVisitor):
        def visit_Attribute(self, node: cst.Attribute) -> bool:  # noqa: N802
            node.value.visit(self)
            return False

        def visit_Arg(self, node: cst.Arg) -> bool:  # noqa: N802
            node.value.visit(self)
            return False

        def visit_Name(self, node: cst.Name) -> None:  # noqa: N802
            found[node.value] = None

    node.visit(Names())
    return list(found)


def shape(node: cst.BaseExpression, place: Place) -> tuple[int, ...] | None:
    """That of a tensor which is written as a name or an attribute, transposed or not."""
    found = place.scene.shapes.get(plain(node))
    if found is None and isinstance(node, cst.Attribute) and node.attr.value == "T":
        inner = place.scene.shapes.get(plain(node.value))
        return inner[::-1] if inner is not None else None
    return found
