"""What a mutator may know of the statement it changes, and the few things all mutators need of LibCST."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import libcst as cst

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """The tensors in scope when the statement ran, by the text that names them; nothing of what they mean."""

    shapes: Mapping[str, Shape]
    gradients: frozenset[str]  # those that the report on the right program shows as gradients
    parameters: frozenset[str]  # forward values that nothing else with a gradient leads to
    counts: tuple[str, ...]  # what the file divides by, where that is no tensor

    def alike(self, name: str) -> list[str]:
        """Other tensors of the same shape and the same sort, sorted by name."""
        if name not in self.shapes:
            return []
        is_gradient = name in self.gradients
        return [
            other
            for other in sorted(self.shapes)
            if other != name
            and self.shapes[other] == self.shapes[name]
            and (other in self.gradients) == is_gradient
        ]


Mutator = Callable[[cst.CSTNode, Scene], Iterator[cst.CSTNode]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to get a line wrong. `of_statement`: the mutator is shown the statement, not its expressions."""

    name: str
    mutate: Mutator
    of_statement: bool


KINDS: list[Kind] = []  # the more telling first: the same change under two kinds counts for the first


def kind(name: str, *, of_statement: bool = False) -> Callable[[Mutator], Mutator]:
    def register(mutate: Mutator) -> Mutator:
        KINDS.append(Kind(name, mutate, of_statement))
        return mutate

    return register


@dataclass(frozen=True, slots=True)
class Mutation:
    kind: str
    old: cst.CSTNode
    new: cst.CSTNode


def mutations(statement: cst.CSTNode, scene: Scene) -> Iterator[Mutation]:
    """All mutations of one statement, kind by kind."""
    nodes = list(expressions(statement))
    for each in KINDS:
        for node in [statement] if each.of_statement else nodes:
            for new in each.mutate(node, scene):
                yield Mutation(each.name, node, new)


def expressions(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The expressions below a statement, outermost first: no targets, attribute names or keywords."""
    if isinstance(node, cst.BaseExpression):
        yield node
    for child in node.children:
        if isinstance(node, (cst.AssignTarget, cst.AnnAssign, cst.AugAssign)) and child is node.target:
            if isinstance(child, cst.Subscript):
                for element in child.slice:
                    yield from expressions(element)
        elif not (isinstance(node, cst.Attribute) and child is node.attr) and not (
            isinstance(node, cst.Arg) and child is node.keyword
        ):
            yield from expressions(child)


def text(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


def plain(node: cst.CSTNode) -> str:
    """The text without parentheses around it."""
    return text(node.with_changes(lpar=[], rpar=[]) if hasattr(node, "lpar") else node)


def bracketed(node: cst.BaseExpression) -> cst.BaseExpression:
    compound = (cst.BinaryOperation, cst.UnaryOperation, cst.Comparison, cst.BooleanOperation, cst.IfExp)
    if isinstance(node, compound) and not node.lpar:
        return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return node


def expression(source: str) -> cst.BaseExpression:
    return cst.parse_expression(source)


def binary(
    node: cst.CSTNode, *operators: type[cst.BaseBinaryOp]
) -> tuple[cst.BaseExpression, cst.BaseExpression] | None:
    """The two sides, if the node is one of these operations, and not on strings."""
    if (
        isinstance(node, cst.BinaryOperation)
        and isinstance(node.operator, operators)
        and not isinstance(node.right, (cst.SimpleString, cst.FormattedString))
    ):
        return node.left, node.right
    return None


def number(node: cst.CSTNode) -> float | None:
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        inner = number(node.expression)
        return None if inner is None else -inner
    if isinstance(node, (cst.Integer, cst.Float)):
        return float(node.evaluated_value)
    return None


def called(node: cst.CSTNode) -> str | None:
    """`sum` of `x.sum(0)` and of `torch.sum(x, 0)`."""
    if isinstance(node, cst.Call):
        if isinstance(node.func, cst.Attribute):
            return node.func.attr.value
        if isinstance(node.func, cst.Name):
            return node.func.value
    return None


def is_module_call(node: cst.Call) -> bool:
    """Whether it is `torch.sum(x)` and not `x.sum()`."""
    return isinstance(node.func, cst.Attribute) and text(node.func.value) in ("torch", "np", "F", "numpy")
