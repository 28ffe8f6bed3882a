"""Writing edits: the places in a piece of source, what may be used there, and trees made from templates of text."""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import torch

from gradcheck.base.groups import grouped
from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.syntax import Path, exchanged, expressions, parent_of
from gradcheck.fronts import arrays
from gradcheck.fronts.tape import Op, Value
from gradcheck.program.reading.tree import expression

AXES = (0, 1, -1)
ADDITIVE = (ast.Add, ast.Sub)
Part = ast.expr | str | float


@dataclass(frozen=True, slots=True)
class Edit:
    """An edited tree. `cost` orders edits: about one per token a person would have to change, less for slips that
    are common."""

    cost: float
    tree: Tree


@dataclass(frozen=True, slots=True)
class Step:
    """The forward operation behind a gradient, and the names of what takes part: `upstream` of the gradient of its
    result, `value` and `result` of the two values."""

    op: Op
    upstream: str
    value: str
    result: str


@dataclass
class Context:
    """`tensors` and `numbers` are the names in scope, nearest first; `resolve` gives what a name, attribute or item
    in the tree refers to (a Value, an object, or None if unknown)."""

    tensors: list[tuple[str, Value]]
    numbers: list[tuple[str, int | float]]
    resolve: Callable[[ast.expr], object]
    shape: tuple[int, ...]  # the result should have this shape
    parameters: frozenset[str] = frozenset()  # of the function around the piece
    forward: frozenset[Value] = frozenset()  # values of the forward pass
    sizes: list[int] = field(default_factory=list)  # of the dimensions in play, each once
    # Numbers written in the forward pass: a slope, an eps.
    literals: list[float] = field(default_factory=list)
    steps: Sequence[Step] = ()  # from the value of the gradient, where the whole line may be replaced

    @cached_property
    def size_texts(self) -> list[tuple[str, int]]:
        """The sizes in play as a person would write them: a name that holds the size, or a shape."""
        found: list[tuple[str, int]] = []
        for size in self.sizes:
            names = (n for n, held in self.numbers if held == size and type(held) is int and len(n) <= 24)
            shapes = (
                f"{n}.shape[{tuple(v.shape).index(size)}]"
                for n, v in self.tensors
                if n.isidentifier() and size in v.shape
            )
            name = next(names, None) or next(shapes, None)
            if name is not None:
                found.append((name, size))
        return found


@dataclass(frozen=True, slots=True)
class Spot:
    """One node of a piece of source: the piece itself first, then every expression in it. `held` is what a name,
    attribute or item refers to. `inside` and `indexing` mark the parts of a path that is itself one value: what is
    looked into, and the index."""

    tree: Tree
    path: Path
    node: ast.AST
    context: Context
    held: object = None
    inside: bool = False
    indexing: bool = False

    @property
    def parent(self) -> ast.AST | None:
        return parent_of(self.tree, self.path)

    @property
    def is_whole(self) -> bool:
        """Whether it is the piece, and an expression."""
        return not self.path and isinstance(self.node, ast.expr)

    @property
    def is_term(self) -> bool:
        """Whether it is the whole that is computed, or a term of a sum in it."""
        added = not isinstance(self.tree, ast.expr) and self.path == (("value", None),)
        return self.is_whole or added or self.is_operand_of(*ADDITIVE)

    @property
    def is_argument(self) -> bool:
        """Whether it is what a function or method is applied to."""
        parent = self.parent
        if isinstance(parent, ast.Attribute):
            return isinstance(parent_of(self.tree, self.path[:-1]), ast.Call)
        return isinstance(parent, ast.Call) and any(self.node is one for one in parent.args)

    def is_operand_of(self, *operators: type[ast.operator]) -> bool:
        parent = self.parent
        return isinstance(parent, ast.BinOp) and isinstance(parent.op, operators)

    def edit(self, cost: float, new: str | ast.AST, **parts: Part) -> Edit:
        """The piece with something else here; in a template, `x` is what is here now."""
        if isinstance(new, str):
            return everywhere(cost, [self], new, **parts)
        return Edit(cost, exchanged(self.tree, self.path, new))


def spots_of(tree: Tree, context: Context) -> Iterator[Spot]:
    inside: set[int] = set()
    indexing: set[int] = set()
    nodes: Iterator[tuple[Path, ast.AST]] = expressions(tree)
    if not isinstance(tree, ast.expr):
        yield Spot(tree, (), tree, context)
    for path, node in nodes:
        held = None
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and is_loaded(node):
            held = context.resolve(node)
        yield Spot(tree, path, node, context, held, id(node) in inside, id(node) in indexing)
        if held is not None and isinstance(node, (ast.Attribute, ast.Subscript)):
            inside.update(id(inner) for inner in ast.walk(node.value))
            if isinstance(node, ast.Subscript):
                indexing.update(id(inner) for inner in ast.walk(node.slice))


def spots_by_text(tree: Tree, context: Context) -> dict[str, list[Spot]]:
    """Wherever each array is read, by how it is written."""
    return grouped((ast.unparse(s.node), s) for s in spots_of(tree, context) if isinstance(s.held, Value))


def everywhere(cost: float, alike: list[Spot], template: str, **parts: Part) -> Edit:
    """The same change at each of these."""
    changed = alike[0].tree
    for spot in alike:
        assert isinstance(spot.node, ast.expr)
        changed = exchanged(changed, spot.path, written(template, x=spot.node, **parts))
    return Edit(cost, changed)


def written(text: str, **parts: Part) -> ast.expr:
    """The tree of `text`, with `parts` in the place of the names in it. Its nodes have no position: they are not the
    person's own."""
    nodes = {name: part if isinstance(part, ast.expr) else written(str(part)) for name, part in parts.items()}
    filled = _filled(_parsed(arrays.spelled(text)), nodes)
    assert isinstance(filled, ast.expr)
    return filled


@lru_cache(maxsize=4096)
def _parsed(text: str) -> ast.expr:
    return expression(text)


def _filled(node: ast.AST, parts: dict[str, ast.expr]) -> ast.AST:
    if isinstance(node, ast.Name) and node.id in parts:
        return parts[node.id]

    def fill(held: object) -> object:
        return _filled(held, parts) if isinstance(held, ast.AST) else held

    fields = {
        name: [fill(item) for item in held] if isinstance(held, list) else fill(held)
        for name, held in ast.iter_fields(node)
    }
    return type(node)(**fields)


def broadcasts(value: Value | torch.Tensor, to: Sequence[int]) -> bool:
    """Whether a tensor can be stretched to a shape."""
    shape = value.shape
    return len(shape) <= len(to) and all(
        a in (1, b) for a, b in zip(reversed(shape), reversed(to), strict=False)
    )


def is_loaded(node: ast.AST) -> bool:
    return not isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))


def constant_of(node: ast.AST | None) -> int | float | None:
    """The value of a number literal, with its sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = constant_of(node.operand)
        return -inner if inner is not None else None
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
