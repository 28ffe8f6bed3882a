"""Softmax, and the losses that are one call each: which of the parts of their derivative is missing or wrong."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import torch

from gradcheck import ops
from gradcheck.diagnosis.mistakes.arguments import averaged, axis_of, operand_of
from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.functions import evaluated
from gradcheck.diagnosis.mistakes.mistake import Mistake, Prediction
from gradcheck.diagnosis.mistakes.predicting import Change, with_step
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.segment import Edge

_Row = tuple[str, str, str]  # the kind, a formula, the sentence

_ROWS: dict[str, list[_Row]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


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
    if operation is ops.SOFTMAX:
        for kind, formula, sentence in (*_ROWS["softmax"], *_along_another_axis(edge)):
            yield kind, _of_result(edge, formula), sentence
    elif operation is ops.LOG_SOFTMAX:
        for kind, formula, sentence in _ROWS["log_softmax"]:
            yield kind, _of_result(edge, formula), sentence
    elif operation is ops.CROSS_ENTROPY and edge.op.name == "cross_entropy":
        for factor, also in _factors(edge):
            for kind, formula, sentence in _ROWS["cross_entropy"]:
                yield kind, _of_logits(edge, formula, factor), sentence + also
    elif edge.op.name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        for factor, _ in _factors(edge):
            yield _of_probabilities(edge, factor)


def _along_another_axis(edge: Edge) -> Iterator[_Row]:
    rank = len(edge.target.shape)
    for axis in range(rank):
        if axis != _dim(edge) % rank:
            sentence = f"the sum in the derivative of softmax runs over dimension {axis}; softmax runs over dimension {{dim}}"
            yield "wrong-axis", f"p * (g - (p * g).sum({axis}, keepdim=True))", sentence


def _of_result(edge: Edge, formula: str) -> Change:
    dim = _dim(edge)

    def change(scene: Scene, local: torch.Tensor) -> torch.Tensor:
        return evaluated(
            formula,
            p=scene.tensor(edge.target),
            g=scene.gradients[edge.target],
            total=lambda x: x.sum(dim, keepdim=True),
            average=lambda x: x.mean(dim, keepdim=True),
        )

    return change


def _factors(edge: Edge) -> Iterator[tuple[float, str]]:
    """A loss that is a mean: divided by the number of samples, or not; and what to say of that."""
    count = averaged(edge.op)
    if count > 1:
        yield 1 / count, ""
        yield 1.0, f"; nor is it divided by {count}, the number of samples"
    else:
        yield 1.0, ""


def _of_logits(edge: Edge, formula: str, factor: float) -> Change:
    def change(scene: Scene, local: torch.Tensor) -> torch.Tensor | None:
        logits = scene.tensor(edge.source)
        targets, given = _one_hot(scene, edge, logits), scene.gradients[edge.target]
        if targets is None or given.numel() != 1:
            return None
        return factor * given * evaluated(formula, z=logits, y=targets, p=logits.softmax(1))

    return change


def _one_hot(scene: Scene, edge: Edge, logits: torch.Tensor) -> torch.Tensor | None:
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
    def change(scene: Scene, local: torch.Tensor) -> torch.Tensor | None:
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
