"""The whole gradient is right but for one constant factor: a sign, a 2, the n of a mean."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.diagnosis.explanations.case import Case
from gradcheck.diagnosis.explanations.constants import Constant, constants_of, fitted
from gradcheck.diagnosis.explanations.explanation import Hypothesis
from gradcheck.diagnosis.explanations.wording import line
from gradcheck.fronts.tape import Op
from gradcheck.replay.compare import norm


def hypotheses(case: Case) -> Iterator[Hypothesis]:
    scene = case.first
    if not scene.fits:
        return
    factor = fitted(scene.found, scene.expected, scene)
    if factor is None:
        return
    if norm(scene.found) <= scene.tolerance:
        yield Hypothesis("zero", lambda s: 0 * s.expected, lambda: "it is zero throughout", {"factor": 0.0})
        return
    constant = constants_of(case).named_or_plain(factor, scene.precision)
    if constant is None or (scene.found.numel() == 1 and len(case.scenes) == 1):
        return  # one number is always some multiple of another
    yield Hypothesis(
        "flipped-sign" if constant.value == -1 else "constant-factor",
        lambda s: constant.value * s.expected,
        lambda: _sentence(case, constant),
        {"factor": constant.value, "factor_text": constant.text, "size": constant.size or None},
    )


def _sentence(case: Case, constant: Constant) -> str:
    if constant.value == -1:
        return "its sign is flipped: it is -1 times what it should be"
    why = _sum_or_mean(case, constant) or constant.why
    return f"it is {constant.text} times what it should be" + (f": {why}" if why else "")


def _sum_or_mean(case: Case, constant: Constant) -> str:
    """A mean differentiated as a sum, or the sum over what was broadcast taken as a mean."""
    size = constant.size
    for edge in case.segment.leaving(case.at):
        source, target = edge.source.shape, edge.target.shape
        if constant.value == size and edge.op.name == "mean":
            return f"the mean in {line(case, edge.op)} divides by {size}"
        if size and constant.value == 1 / size and _spread(source, target) == size and not _reduces(edge.op):
            return f"the sum over the {size} uses in {line(case, edge.op)} is taken as a mean"
    return ""


def _spread(source: tuple[int, ...], target: tuple[int, ...]) -> int:
    """Over how many places a broadcast argument is used."""
    padded = (1,) * (len(target) - len(source)) + tuple(source)
    if len(padded) != len(target):
        return 0
    count = 1
    for size, other in zip(padded, target, strict=True):
        if size != other:
            if size != 1:
                return 0
            count *= other
    return count


def _reduces(op: Op) -> bool:
    return op.name in ("sum", "mean", "matmul", "mm", "linear", "__matmul__", "prod", "max", "var", "std")
