"""Recognises a softmax cross-entropy in what a loss was computed from, by operations and by numbers.

From the loss, sums, means and factors are followed back to where log-probabilities of the right answers are picked:
in one call (`F.cross_entropy`, `F.nll_loss`), by an index (`log_probs[range(n), Y]`), by a product with one-hot rows,
before the logarithm or after it. That they are the logarithms of a softmax is told by their numbers: along one axis,
their exponentials add up to 1. A binary cross-entropy's do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.replay.engine import ReplayError

_KEEPS = {
    "neg", "mean", "sum", "nanmean", "mul", "__mul__", "__rmul__", "mul_", "multiply", "div", "true_divide",
    "__truediv__", "div_", "add", "__add__", "__radd__", "add_", "__iadd__", "sub", "__sub__", "__rsub__", "sub_",
    "rsub", "stack", "cat", "concat", "view", "reshape", "squeeze", "unsqueeze", "flatten", "clone", "contiguous",
    "to", "double", "float", "data", "detach", "item", "__neg__", "negative", "positive",
}  # fmt: skip
_PICKS = {"getitem", "__getitem__", "gather", "take_along_dim", "index_select", "take"}
_PRODUCTS = {"mul", "__mul__", "__rmul__", "multiply"}
_LOGS = {"log"}
_ADDS_UP = 1e-4  # a small number is often added before the logarithm, so that there is one of zero
_MOST_OPS = 4_000


@dataclass(slots=True)
class CrossEntropy:
    """`losses` is minus the log-probability of each right answer."""

    losses: torch.Tensor
    classes: int


def find_cross_entropy(
    loss: Value, ops: Sequence[Op], tensor: Callable[[Value], torch.Tensor]
) -> CrossEntropy | None:
    """All the picked log-probabilities that the loss is made of, if they are of as many classes; None if there are
    none."""
    return _Search(ops, tensor).find(loss)


class _Search:
    def __init__(self, ops: Sequence[Op], tensor: Callable[[Value], torch.Tensor]) -> None:
        self._made_by: dict[Value, Op] = {}
        self._added: dict[Value, list[Op]] = {}  # what changed a running sum in place afterwards
        for op in ops:
            for value in op.outputs:
                if value in self._made_by:
                    self._added.setdefault(value, []).append(op)
                else:
                    self._made_by[value] = op
        self._tensor = tensor

    def find(self, loss: Value) -> CrossEntropy | None:
        found: list[CrossEntropy] = []
        pending, seen = [loss], {loss}
        while pending and len(seen) < _MOST_OPS:
            value = pending.pop()
            op = self._made_by.get(value)
            if op is None:
                continue
            try:
                picked = self._picked(op, value)
            except (ReplayError, RuntimeError, IndexError, KeyError, TypeError):
                picked = None
            if picked is not None:
                found.append(picked)
                continue
            for step in (op, *self._added.get(value, ())):
                if step.name in _KEEPS or (step.name in _PICKS and not _is_computed(step)):
                    new = [v for v in step.inputs if v not in seen]
                    seen.update(new)
                    pending.extend(new)
        if not found or len({f.classes for f in found}) > 1:
            return None
        losses = torch.cat([f.losses.reshape(-1) for f in found])
        if not losses.numel() or not bool(torch.isfinite(losses).all()):
            return None
        return CrossEntropy(losses, found[0].classes)

    def _picked(self, op: Op, value: Value) -> CrossEntropy | None:
        if op.name == "cross_entropy":
            return self._by_function(op)
        if op.name == "nll_loss":
            scores, _ = self._two(op)
            return self._by_function(op) if self._axis(scores.exp()) is not None else None
        if op.name in _PICKS and op.args and isinstance(op.args[0], Value):
            source = self._tensor(op.args[0])
            return self._answers(-self._tensor(value), source.exp()) if source.is_floating_point() else None
        if op.name in _LOGS and op.inputs:
            before = self._made_by.get(op.inputs[0])
            if before is not None and before.name in _PICKS and isinstance(before.args[0], Value):
                return self._answers(-self._tensor(value), self._tensor(before.args[0]))
            return None
        if op.name in _PRODUCTS and len(op.inputs) == 2:
            return self._by_product(op)
        return self._by_difference(op)

    def _by_function(self, op: Op) -> CrossEntropy | None:
        scores, target = self._two(op)
        axis = 1 if scores.ndim > 1 else 0
        log_probs = scores.log_softmax(axis)
        if target.is_floating_point():
            return CrossEntropy(-(log_probs * target).sum(axis).reshape(-1), scores.shape[axis])
        classes = scores.shape[axis]
        kept = (target >= 0) & (target < classes)  # what is ignored has a number that is no class
        ignored = (op.kwargs or {}).get("ignore_index")
        if isinstance(ignored, int):
            kept &= target != ignored
        index = target.clamp(0, classes - 1).unsqueeze(axis if scores.ndim > 1 else 0)
        picked = -log_probs.gather(axis, index).squeeze(axis)
        return CrossEntropy(picked[kept], classes) if bool(kept.any()) else None

    def _by_product(self, op: Op) -> CrossEntropy | None:
        """Of log-probabilities and rows that add up to 1."""
        left, right = (self._tensor(v) for v in op.inputs)
        if left.shape != right.shape or left.ndim < 1:
            return None
        for logs, target in ((left, right), (right, left)):
            if not logs.is_floating_point() or bool((logs > _ADDS_UP).any()) or bool((target < 0).any()):
                sign = -1.0 if logs.is_floating_point() and bool((logs >= -_ADDS_UP).all()) else None
                if sign is None or bool((target < 0).any()):
                    continue
                logs = -logs  # `-log_probs * one_hot`
            axis = self._axis(logs.exp())
            if axis is None or not _adds_up(target.double(), axis):
                continue
            return CrossEntropy(-(logs * target).sum(axis).reshape(-1), logs.shape[axis])
        return None

    def _by_difference(self, op: Op) -> CrossEntropy | None:
        """`logsumexp(logits) - logits[range(n), Y]`, either way round."""
        if op.name not in ("sub", "__sub__") or len(op.args) != 2:
            return None
        if not all(isinstance(a, Value) for a in op.args):
            return None
        for picked, total in (op.args, op.args[::-1]):
            before = self._made_by.get(picked)
            if before is None or before.name not in _PICKS or not isinstance(before.args[0], Value):
                continue
            scores = self._tensor(before.args[0])
            if not scores.is_floating_point() or scores.ndim < 1:
                continue
            sums, chosen = self._tensor(total).reshape(-1), self._tensor(picked).reshape(-1)
            for axis in range(scores.ndim):
                expected = scores.logsumexp(axis).reshape(-1)
                same = expected.shape == sums.shape == chosen.shape
                if scores.shape[axis] > 1 and same and torch.allclose(expected, sums, rtol=1e-6, atol=1e-6):
                    return CrossEntropy(sums - chosen, scores.shape[axis])
        return None

    def _answers(self, losses: torch.Tensor, probabilities: torch.Tensor) -> CrossEntropy | None:
        axis = self._axis(probabilities)
        if axis is None or losses.numel() * probabilities.shape[axis] != probabilities.numel():
            return None
        return CrossEntropy(losses.reshape(-1), probabilities.shape[axis])

    def _axis(self, probabilities: torch.Tensor) -> int | None:
        """The axis along which they add up to 1."""
        if not probabilities.is_floating_point() or bool((probabilities < 0).any()):
            return None
        axes = [a for a in range(probabilities.ndim) if probabilities.shape[a] > 1]
        return next((a for a in reversed(axes) if _adds_up(probabilities, a)), None)

    def _two(self, op: Op) -> tuple[torch.Tensor, torch.Tensor]:
        given = {**dict(zip(("input", "target"), op.args, strict=False)), **(op.kwargs or {})}
        return self._tensor(given["input"]).detach(), self._tensor(given["target"]).detach()


def _adds_up(tensor: torch.Tensor, axis: int) -> bool:
    return bool(((tensor.sum(axis) - 1).abs() <= _ADDS_UP).all())


def _is_computed(op: Op) -> bool:
    """Whether it chooses with a tensor or a list: rows or answers, and not a part of what is there anyway."""
    return len(op.inputs) > 1 or any(isinstance(a, (tuple, list)) for a in op.args[1:])
