"""A function that gives a loss and its gradients at once: `loss, dx = softmax_loss(x, y)`, and a network's
`loss, grads = net.loss(X, y)`. Its `return` says so, by the names in it."""

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradcheck.fronts.gradient_names import Form, is_loss_name, parse
from gradcheck.layers.methods import StandsFor
from gradcheck.layers.usage import nodes_of
from gradcheck.program.reading.tree import Function, with_owner


@dataclass(frozen=True, slots=True)
class Returns:
    """What stands at which place of the tuple that is returned."""

    loss: int
    gradients: tuple[tuple[int, str], ...]  # with their names
    length: int


class GivesGradients(StandsFor):
    """`forward` gives everything; `owner` is the network whose method it is, or None."""

    def __init__(self, function: Callable[..., Any], returns: Returns, owner: Any = None) -> None:
        super().__init__(owner)
        self.forward = function
        self._returns = returns

    def backward(self) -> None:
        """There is none of its own."""

    def apart(self, result: Any) -> tuple[Any, list[tuple[str, Any]]] | None:
        """The loss, and the gradients with their names; None if it is not what its `return` says."""
        returns = self._returns
        if not isinstance(result, (tuple, list)) or len(result) != returns.length:
            return None
        return result[returns.loss], [(name, result[place]) for place, name in returns.gradients]


def returns_of(function: Any) -> Returns | None:
    """None if no `return` of the function hands back a loss and gradients."""
    return next((returned(node) for node in nodes_of(function) if isinstance(node, Function)), None)


def returned(function: Function) -> Returns | None:
    """The same, of its syntax."""
    for owner, node in with_owner(function):
        if owner is None and isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            names = [_name_of(part) for part in node.value.elts]
            losses = [place for place, name in enumerate(names) if is_loss_name(name)]
            gradients = [(place, name) for place, name in enumerate(names) if _is_gradient(name)]
            if len(losses) == 1 and gradients:
                return Returns(losses[0], tuple(gradients), len(names))
    return None


def method_of(kind: type) -> tuple[str, Returns] | None:
    """The method of a network that gives its loss and the gradients of its parameters."""
    for name, held in vars(kind).items():
        if inspect.isfunction(held) and not name.startswith("_"):
            returns = returns_of(held)
            if returns is not None:
                return name, returns
    return next((found for base in kind.__bases__ if (found := method_of(base)) is not None), None)


def _name_of(part: ast.expr) -> str:
    if isinstance(part, ast.Call) and len(part.args) == 1 and not part.keywords:
        part = part.args[0]  # float(loss)
    while isinstance(part, ast.BinOp) and isinstance(part.op, ast.Div):
        part = part.left  # dscores / n: the mean over the batch
    if isinstance(part, ast.Dict):
        items = [(getattr(key, "value", ""), held) for key, held in zip(part.keys, part.values, strict=True)]
        said = [_is_gradient(str(key)) or _reads_one(held) for key, held in items]
        return "grads" if said and all(said) else ""
    return ast.unparse(part) if isinstance(part, (ast.Name, ast.Attribute, ast.Subscript)) else ""


def _reads_one(held: ast.expr) -> bool:
    """`dz.sum(0)`, kept as `"b"`."""
    return any(_is_gradient(node.id) for node in ast.walk(held) if isinstance(node, ast.Name))


def _is_gradient(name: str) -> bool:
    return bool(name) and parse(name).form is not Form.NONE and not is_loss_name(name)
