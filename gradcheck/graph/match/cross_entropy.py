"""Softmax cross-entropies: from the loss, sums, means and factors are followed back to where log-probabilities of the
right answers are picked.

They are picked in one call (`F.cross_entropy`, `F.nll_loss`), by an index (`log_probs[range(n), Y]`), by a product with
one-hot rows, before the logarithm or after it. That they are the logarithms of a softmax is shown by their numbers: along
one axis, their exponentials add up to 1. Those of a binary cross-entropy do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value
from gradcheck.graph import flow
from gradcheck.graph.match.rows import Row, Tensors, search

_ADDS_UP = 1e-4  # a small number is often added before the logarithm, so that there is one of zero
_PICKS = (ops.GETITEM, ops.SELECT)
_COMBINES = ops.ADDITIVE | ops.SCALING | {ops.MEAN, ops.SUM, ops.JOIN, ops.ESCAPE}


@dataclass(slots=True)
class CrossEntropy:
    """`losses` is minus the log-probability of each right answer."""

    losses: torch.Tensor
    classes: int


def find_cross_entropy(loss: Value, steps: Sequence[Op], tensor: Tensors) -> CrossEntropy | None:
    """All the picked log-probabilities that the loss is made of, if they are of as many classes; None if there are
    none."""
    found = search(loss, _Patterns(steps, tensor).rows, flow.makers(steps), _leads_on)
    if not found or len({f.classes for f in found}) > 1:
        return None
    losses = torch.cat([f.losses.reshape(-1) for f in found])
    if not losses.numel() or not bool(torch.isfinite(losses).all()):
        return None
    return CrossEntropy(losses, found[0].classes)


def _leads_on(op: Op) -> bool:
    if op.operation in _PICKS:
        # A choice of rows or answers by a tensor or a list ends the search; a part of what is there does not.
        return len(op.inputs) == 1 and not any(isinstance(a, (tuple, list)) for a in op.args[1:])
    return op.operation in _COMBINES or op.operation.keeps_numbers


class _Patterns:
    def __init__(self, steps: Sequence[Op], tensor: Tensors) -> None:
        self._of = tensor
        self._made_by = {value: op for op in reversed(steps) for value in op.outputs}
        self.rows: tuple[Row[CrossEntropy], ...] = (
            Row((ops.CROSS_ENTROPY,), self._by_function),
            Row(_PICKS, lambda op: self._by_index(op, op, exponential=True)),
            Row((ops.LOG,), self._by_logarithm),
            Row((ops.MUL,), self._by_product),
            Row((ops.SUB,), self._by_difference),
        )

    def _tensor(self, value: object) -> torch.Tensor | None:
        found = self._of(value) if isinstance(value, Value) else None
        return None if found is None else found.detach()

    def _by_function(self, op: Op) -> CrossEntropy | None:
        given = {**dict(zip(("input", "target"), op.args, strict=False)), **(op.kwargs or {})}
        scores, target = self._tensor(given.get("input")), self._tensor(given.get("target"))
        if scores is None or target is None:
            return None
        if op.name == "nll_loss" and _axis(scores.exp()) is None:
            return None
        axis = 1 if scores.ndim > 1 else 0
        classes, log_probs = scores.shape[axis], scores.log_softmax(axis)
        if target.is_floating_point():
            return CrossEntropy(-(log_probs * target).sum(axis), classes)
        kept = (target >= 0) & (target < classes)  # what is ignored has a number that is no class
        ignored = given.get("ignore_index")
        if isinstance(ignored, int):
            kept &= target != ignored
        picked = -log_probs.gather(axis, target.clamp(0, classes - 1).unsqueeze(axis)).squeeze(axis)
        return CrossEntropy(picked[kept], classes) if bool(kept.any()) else None

    def _by_index(self, op: Op, picks: Op, exponential: bool) -> CrossEntropy | None:
        """`op` computes logarithms of what `picks` picks."""
        picked, source = self._tensor(op.out), self._tensor(picks.args[0] if picks.args else None)
        if picked is None or source is None or not source.is_floating_point():
            return None
        probabilities = source.exp() if exponential else source
        axis = _axis(probabilities)
        if axis is None or picked.numel() * source.shape[axis] != source.numel():
            return None
        return CrossEntropy(-picked, source.shape[axis])

    def _by_logarithm(self, op: Op) -> CrossEntropy | None:
        picks = self._made_by.get(op.inputs[0]) if op.inputs else None
        is_pick = picks is not None and picks.operation in _PICKS
        return self._by_index(op, picks, exponential=False) if picks is not None and is_pick else None

    def _by_product(self, op: Op) -> CrossEntropy | None:
        """Of log-probabilities and rows that add up to 1."""
        tensors = [t for t in map(self._tensor, op.inputs) if t is not None]
        if len(tensors) != 2 or tensors[0].shape != tensors[1].shape or tensors[0].ndim < 1:
            return None
        for logs, target in (tensors, tensors[::-1]):
            if not logs.is_floating_point() or bool((target < 0).any()):
                continue
            if bool((logs > _ADDS_UP).any()):
                if not bool((logs >= -_ADDS_UP).all()):
                    continue
                logs = -logs  # `-log_probs * one_hot`
            axis = _axis(logs.exp())
            if axis is not None and _adds_up(target.double(), axis):
                return CrossEntropy(-(logs * target).sum(axis), logs.shape[axis])
        return None

    def _by_difference(self, op: Op) -> CrossEntropy | None:
        """`logsumexp(logits) - logits[range(n), Y]`, either way round."""
        if len(op.args) != 2:
            return None
        for picked, total in (op.args, op.args[::-1]):
            picks = self._made_by.get(picked) if isinstance(picked, Value) else None
            if picks is None or picks.operation not in _PICKS:
                continue
            scores, chosen, sums = (self._tensor(value) for value in (picks.args[0], picked, total))
            if scores is None or chosen is None or sums is None or not scores.is_floating_point():
                continue
            sums, chosen = sums.reshape(-1), chosen.reshape(-1)
            for axis in range(scores.ndim):
                expected = scores.logsumexp(axis).reshape(-1)
                same = expected.shape == sums.shape == chosen.shape
                if scores.shape[axis] > 1 and same and torch.allclose(expected, sums, rtol=1e-6, atol=1e-6):
                    return CrossEntropy(sums - chosen, scores.shape[axis])
        return None


def _axis(probabilities: torch.Tensor) -> int | None:
    """The axis along which they add up to 1."""
    if not probabilities.is_floating_point() or bool((probabilities < 0).any()):
        return None
    axes = [a for a in range(probabilities.ndim) if probabilities.shape[a] > 1]
    return next((a for a in reversed(axes) if _adds_up(probabilities, a)), None)


def _adds_up(tensor: torch.Tensor, axis: int) -> bool:
    return bool(((tensor.sum(axis) - 1).abs() <= _ADDS_UP).all())
