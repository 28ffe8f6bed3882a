"""Softmax, and the losses that are one call each: which of the parts of their derivative is missing or wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from gradcheck import ops
from gradcheck.diagnosis.mistakes.arguments import averaged, axis_of, operand_of
from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.mistake import Mistake, Prediction
from gradcheck.diagnosis.mistakes.predicting import Change, with_step
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.segment import Edge
from gradcheck.ops import Family

_Tensor = torch.Tensor
_OfResult = Callable[[_Tensor, _Tensor, int], _Tensor]  # of the result, its gradient and the dimension
_OfLogits = Callable[[_Tensor, _Tensor], _Tensor]  # of the logits and the one-hot targets

_OF_SOFTMAX = "the derivative of softmax, `p * (g - (p * g).sum())`,"
_SOFTMAX: tuple[tuple[str, _OfResult, str], ...] = (
    (
        "softmax-diagonal",
        lambda p, g, d: p * (1 - p) * g,
        "softmax is differentiated element by element, as `p * (1 - p)`; every element depends on all in its row, and "
        "the derivative is `p * (g - (p * g).sum())`",
    ),
    ("missing-branch", lambda p, g, d: p * g, f"the sum in {_OF_SOFTMAX} is missing"),
    (
        "missing-factor",
        lambda p, g, d: p * (g - g.sum(d, keepdim=True)),
        f"the sum in {_OF_SOFTMAX} is taken without the factor p",
    ),
    (
        "missing-factor",
        lambda p, g, d: g - (p * g).sum(d, keepdim=True),
        f"the first factor p in {_OF_SOFTMAX} is missing",
    ),
    (
        "flipped-branch",
        lambda p, g, d: p * (g + (p * g).sum(d, keepdim=True)),
        f"the sum in {_OF_SOFTMAX} has the wrong sign",
    ),
    (
        "scaled-branch",
        lambda p, g, d: p * (g - (p * g).mean(d, keepdim=True)),
        f"the sum in {_OF_SOFTMAX} is taken as a mean",
    ),
    (
        "missing-branch",
        lambda p, g, d: -p * (p * g).sum(d, keepdim=True),
        f"the first term of {_OF_SOFTMAX} is missing",
    ),
    ("missing-derivative", lambda p, g, d: g, "the derivative of softmax is left out"),
    (
        "wrong-axis",
        lambda p, g, d: p * (g - (p * g).sum()),
        "the sum in the derivative of softmax runs over everything; softmax runs over dimension {dim}",
    ),
)

_OF_LOG_SOFTMAX = "the derivative of log_softmax, `g - softmax * g.sum()`,"
_LOG_SOFTMAX: tuple[tuple[str, _OfResult, str], ...] = (
    ("missing-branch", lambda t, g, d: g, f"the softmax part of {_OF_LOG_SOFTMAX} is missing"),
    (
        "missing-factor",
        lambda t, g, d: g - g.sum(d, keepdim=True),
        f"the factor softmax in {_OF_LOG_SOFTMAX} is missing",
    ),
    ("missing-reduction", lambda t, g, d: g - t.exp() * g, f"the sum in {_OF_LOG_SOFTMAX} is missing"),
    (
        "wrong-operand",
        lambda t, g, d: g - t * g.sum(d, keepdim=True),
        f"{_OF_LOG_SOFTMAX} is taken with the logarithms in the place of softmax",
    ),
)

# (softmax - one-hot) / n, by parts.
_CROSS_ENTROPY: tuple[tuple[str, _OfLogits, str], ...] = (
    (
        "missing-branch",
        lambda z, y: z.softmax(1),
        "it is the softmax alone: the 1 at the right class is not subtracted",
    ),
    ("missing-branch", lambda z, y: -y, "only the right class counts: the softmax is missing"),
    ("wrong-operand", lambda z, y: z - y, "it has the logits themselves where their softmax belongs"),
    (
        "wrong-operand",
        lambda z, y: z.log_softmax(1) - y,
        "it has the logarithm of softmax where softmax belongs",
    ),
    (
        "wrong-operand",
        lambda z, y: z.exp() - y,
        "the exponentials are not divided by their sum: they are not yet softmax",
    ),
    (
        "wrong-axis",
        lambda z, y: z.softmax(0) - y,
        "softmax is taken over dimension 0; the loss takes it over dimension 1",
    ),
    (
        "wrong-axis",
        lambda z, y: z.softmax(0),
        "softmax is taken over dimension 0, not over dimension 1 as in the loss, and the 1 at the right class is not "
        "subtracted",
    ),
    (
        "flipped-branch",
        lambda z, y: z.softmax(1) + y,
        "the 1 at the right class is added where it should be subtracted",
    ),
    (
        "extra-factor",
        lambda z, y: z.softmax(1) * (1 - z.softmax(1)) * (z.softmax(1) - y),
        "the derivative of softmax is applied although `softmax - one_hot` contains it",
    ),
)


def _predictions(case: Case) -> Iterator[Prediction]:
    for edge in case.segment.edges if case.first.fits else ():
        if operand_of(edge.op) is not edge.source:
            continue
        for kind, change, sentence in _mistaken(edge):
            yield Prediction(
                kind,
                with_step(edge, change),
                f"{sentence} ({{where}})",
                {"where": edge.op, "dim": _dim(edge)},
                {"function": edge.op.name},
            )


def _mistaken(edge: Edge) -> Iterator[tuple[str, Change, str]]:
    operation = edge.op.operation
    if operation.family is Family.SOFTMAX:
        yield from _of_softmax(edge, _SOFTMAX if operation is ops.SOFTMAX else _LOG_SOFTMAX)
        if operation is ops.SOFTMAX:
            yield from _along_another_axis(edge)
    elif operation is ops.CROSS_ENTROPY and edge.op.name == "cross_entropy":
        for factor, also in _factors(edge):
            for kind, formula, sentence in _CROSS_ENTROPY:
                yield kind, _of_logits(edge, formula, factor), sentence + also
    elif edge.op.name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        for factor, _ in _factors(edge):
            yield _of_probabilities(edge, factor)


def _of_softmax(
    edge: Edge, rows: tuple[tuple[str, _OfResult, str], ...]
) -> Iterator[tuple[str, Change, str]]:
    dim = _dim(edge)
    for kind, formula, sentence in rows:

        def change(scene: Scene, local: _Tensor, formula: _OfResult = formula) -> _Tensor:
            return formula(scene.tensor(edge.target), scene.gradients[edge.target], dim)

        yield kind, change, sentence


def _along_another_axis(edge: Edge) -> Iterator[tuple[str, Change, str]]:
    rank = len(edge.target.shape)
    for axis in range(rank):
        if axis != _dim(edge) % rank:
            row = (
                "wrong-axis",
                lambda p, g, d, axis=axis: p * (g - (p * g).sum(axis, keepdim=True)),
                f"the sum in the derivative of softmax runs over dimension {axis}; softmax runs over dimension {{dim}}",
            )
            yield from _of_softmax(edge, (row,))


def _factors(edge: Edge) -> Iterator[tuple[float, str]]:
    """A loss that is a mean: divided by the number of samples, or not; and what to say of that."""
    count = averaged(edge.op)
    if count > 1:
        yield 1 / count, ""
        yield 1.0, f"; nor is it divided by {count}, the number of samples"
    else:
        yield 1.0, ""


def _of_logits(edge: Edge, formula: _OfLogits, factor: float) -> Change:
    def change(scene: Scene, local: _Tensor) -> _Tensor | None:
        logits = scene.tensor(edge.source)
        targets, given = _one_hot(scene, edge, logits), scene.gradients[edge.target]
        if targets is None or given.numel() != 1:
            return None
        return factor * given * formula(logits, targets)

    return change


def _one_hot(scene: Scene, edge: Edge, logits: _Tensor) -> _Tensor | None:
    inputs = edge.op.inputs
    if logits.ndim != 2 or len(inputs) < 2:
        return None
    targets = scene.tensor(inputs[1])
    if targets.is_floating_point():
        return targets if targets.shape == logits.shape else None
    if targets.ndim != 1 or targets.numel() != logits.shape[0] or int(targets.min()) < 0:
        return None
    return torch.nn.functional.one_hot(targets.long(), logits.shape[1]).to(logits.dtype)


def _of_probabilities(edge: Edge, factor: float) -> tuple[str, Change, str]:
    def change(scene: Scene, local: _Tensor) -> _Tensor | None:
        inputs, given = edge.op.inputs, scene.gradients[edge.target]
        if len(inputs) < 2 or given.numel() != 1:
            return None
        return factor * given * (scene.tensor(edge.source) - scene.tensor(inputs[1]))

    if edge.op.name.endswith("logits"):
        return "wrong-operand", change, "it has the logits themselves where their sigmoid belongs"
    return (
        "wrong-derivative",
        change,
        "`p - y` is the gradient of the logits, with the sigmoid in it; that of p itself is `(p - y) / (p * (1 - p))`",
    )


def _dim(edge: Edge) -> int:
    dim = axis_of(edge.op)
    return -1 if dim is None else dim


MISTAKE = Mistake("softmax", predictions=_predictions)
