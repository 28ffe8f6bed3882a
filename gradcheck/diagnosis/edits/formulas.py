"""The textbook formula for the whole line, where one forward operation leads from the value to its upstream."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradcheck.diagnosis.edits.context import Context, Edit, parsed
from gradcheck.diagnosis.evaluation import Tree
from gradcheck.fronts.tape import Op, Value

_COST = 3.2  # a line written anew

# VJPs, with `g` the upstream gradient, `x` the value and `y` the result. The formulas are the entries of PyTorch's
# tools/autograd/derivatives.yaml.
_ELEMENTWISE = {
    "tanh": "{g} * (1 - {y}**2)",
    "sigmoid": "{g} * {y} * (1 - {y})",
    "relu": "{g} * ({x} > 0)",
    "exp": "{g} * {y}",
    "log": "{g} / {x}",
    "sqrt": "{g} / (2 * {y})",
    "rsqrt": "-0.5 * {g} * {y}**3",
    "sin": "{g} * torch.cos({x})",
    "cos": "-{g} * torch.sin({x})",
    "abs": "{g} * torch.sign({x})",
    "square": "2 * {g} * {x}",
    "softplus": "{g} * torch.sigmoid({x})",
}


@dataclass(frozen=True, slots=True)
class Step:
    """The forward operation behind a gradient, and the names of what takes part: `upstream` of the gradient of its
    result, `value` and `result` of the two values."""

    op: Op
    upstream: str
    value: str
    result: str


def edits(tree: Tree, context: Context, steps: Sequence[Step]) -> Iterator[Edit]:
    if not isinstance(tree, ast.expr):
        return
    for step in steps:
        for text in _formulas(step, context):
            yield Edit(_COST, parsed(text))


def _formulas(step: Step, context: Context) -> Iterator[str]:
    g, x, y = step.upstream, step.value, step.result
    name = step.op.name.strip("_")
    if name in _ELEMENTWISE and y:
        yield _ELEMENTWISE[name].format(g=g, x=x, y=y)
    elif name in ("softmax", "log_softmax") and y:
        axis = _axis(step.op)
        if axis is not None and name == "softmax":
            yield f"{y} * ({g} - ({g} * {y}).sum({axis}, keepdim=True))"
        elif axis is not None:
            yield f"{g} - {y}.exp() * {g}.sum({axis}, keepdim=True)"
    elif name in ("matmul", "mm", "rmatmul") and len(step.op.args) == 2:
        yield from (f"{g} @ {other}.T" for other in _names_of(step.op.args[1], context))
        yield from (f"{other}.T @ {g}" for other in _names_of(step.op.args[0], context))


def _axis(op: Op) -> int | None:
    found = (op.kwargs or {}).get(
        "dim", (op.kwargs or {}).get("axis", op.args[1] if len(op.args) > 1 else None)
    )
    return found if isinstance(found, int) else None


def _names_of(value: object, context: Context) -> Iterator[str]:
    if isinstance(value, Value):
        yield from (text for text, held in context.tensors if held is value)
