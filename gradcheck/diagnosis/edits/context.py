"""What the makers of edits may know of the place they edit: the names in scope, their shapes, the sizes in play."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.syntax import Path, exchanged
from gradcheck.fronts.tape import Value
from gradcheck.program.reading.tree import expression


@dataclass(frozen=True, slots=True)
class Edit:
    """An edited tree. `cost` orders edits: about one per token a person would have to change, less for slips that
    are common."""

    cost: float
    tree: Tree


@dataclass
class Context:
    """`tensors` and `numbers` are the names in scope, nearest first; `resolve` tells what a name, attribute or item
    in the tree stands for (a Value, an object, or None if unknown)."""

    tensors: list[tuple[str, Value]]
    numbers: list[tuple[str, int | float]]
    resolve: Callable[[ast.expr], object]
    shape: tuple[int, ...]  # the result is to have this shape
    parameters: frozenset[str] = frozenset()  # of the function the piece stands in
    forward: frozenset[Value] = frozenset()  # values of the forward pass
    sizes: list[int] = field(default_factory=list)  # of the dimensions in play, each once
    literals: list[float] = field(
        default_factory=list
    )  # numbers that the forward pass is written with: a slope, an eps

    @cached_property
    def size_texts(self) -> list[tuple[str, int]]:
        """The sizes in play as a person would write them: a name that holds the size, or a shape."""
        found: list[tuple[str, int]] = []
        for size in self.sizes:
            name = next(
                (n for n, held in self.numbers if held == size and type(held) is int and len(n) <= 24), None
            )
            if name is None:
                shaped = next(((n, v) for n, v in self.tensors if n.isidentifier() and size in v.shape), None)
                if shaped is None:
                    continue
                name = f"{shaped[0]}.shape[{tuple(shaped[1].shape).index(size)}]"
            found.append((name, size))
        return found


def parsed(text: str) -> ast.expr:
    """A fresh node without a position: not one of the person's own."""
    node = expression(text)
    for inner in ast.walk(node):
        for attribute in ("lineno", "col_offset", "end_lineno", "end_col_offset"):
            if hasattr(inner, attribute):
                delattr(inner, attribute)
    return node


def binary(left: ast.expr, operator: ast.operator, right: ast.expr) -> ast.BinOp:
    return ast.BinOp(left, operator, right)


def number(value: float) -> ast.expr:
    if value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def edit(cost: float, tree: Tree, path: Path, new: ast.AST) -> Edit:
    changed = exchanged(tree, path, new)
    assert isinstance(changed, (ast.expr, ast.stmt, ast.Module))
    return Edit(cost, changed)


def broadcasts(shape: Sequence[int], to: Sequence[int]) -> bool:
    """Whether a tensor of one shape can be stretched to the other."""
    if len(shape) > len(to):
        return False
    return all(a in (1, b) for a, b in zip(reversed(shape), reversed(to), strict=False))


def is_loaded(node: ast.expr) -> bool:
    return not isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))


def constant_of(node: ast.AST) -> int | float | None:
    """The number a literal stands for, with its sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = constant_of(node.operand)
        return -inner if inner is not None else None
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
