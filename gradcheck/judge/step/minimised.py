"""Whether a loss can only be meant to fall, told from how it is computed.

A cross-entropy, a mean of squares or of absolute values, or a log-likelihood with a minus sign has a least value and
no greatest one: nobody goes uphill on it. A bare log-likelihood or a reward may well be maximised.
"""

from __future__ import annotations

from gradcheck.fronts.tape import Op, Value
from gradcheck.replay.passes import PassPlan

_LOSSES = {
    "cross_entropy", "nll_loss", "mse_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "l1_loss",
    "smooth_l1_loss", "huber_loss",
}  # fmt: skip
_SUMS = {"sum", "mean", "div", "true_divide", "__truediv__", "mul", "__mul__", "__rmul__", "multiply"}
_KEEPS = {"squeeze", "view", "reshape", "clone", "detach", "item"}
_NOT_NEGATIVE = {"square", "abs", "norm", "relu", "clamp_min"}
_POWERS = {"pow", "__pow__"}
_LOGS = {"log", "log_softmax", "logsigmoid", "logsumexp", "log1p", "log2"}


def is_minimised(plan: PassPlan) -> bool:
    value = plan.loss
    for _ in range(12):
        op = value.producer
        if op is None:
            return False
        if op.name in _LOSSES or op.name in _NOT_NEGATIVE:
            return True
        if op.name in _POWERS and len(op.args) > 1:
            return bool(op.args[1] == 2)
        if op.name == "neg":
            return _has_log(plan, op)
        numbers = [a for a in op.args if isinstance(a, (int, float)) and not isinstance(a, bool)]
        if op.name in ("mul", "__mul__", "__rmul__", "multiply") and _is_square(op):
            return True
        if op.name not in _SUMS and op.name not in _KEEPS:
            return False
        if any(n < 0 for n in numbers) and op.name not in ("sum", "mean"):
            return False
        values = [a for a in op.args if isinstance(a, Value)]
        if op.name in ("div", "true_divide", "__truediv__"):
            values = values[:1]
        if len(values) != 1:
            return False
        value = values[0]
    return False


def _is_square(op: Op) -> bool:
    return len(op.args) > 1 and isinstance(op.args[0], Value) and op.args[0] is op.args[1]


def _has_log(plan: PassPlan, op: Op) -> bool:
    """A minus sign makes a loss of a log-likelihood; before a sum of squares it makes a score."""
    pending, seen = list(op.inputs), 0
    while pending and seen < 64:
        producer = pending.pop().producer
        seen += 1
        if producer is None or producer.index < plan.start:
            continue
        if producer.name in _LOGS:
            return True
        pending.extend(producer.inputs)
    return False
