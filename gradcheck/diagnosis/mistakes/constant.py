"""A number is wrong or missing: a sign, a 2, an exponent, the n of a mean, n for n - 1."""

import ast
import math
from collections.abc import Iterator

from gradcheck import ops
from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.constants import Constant, constants_of, fitted
from gradcheck.diagnosis.mistakes.mistake import Mistake, Prediction
from gradcheck.diagnosis.mistakes.wording import line
from gradcheck.diagnosis.mistakes.writing import ADDITIVE, Edit, Spot, constant_of
from gradcheck.ops import Family
from gradcheck.replay.compare import norm

_EXPONENTS = (2, -1, 0.5, -0.5, -1.5, 3, -2, 1.5)


# -- edits -----------------------------------------------------------------------------------------------------------


def _edits(spot: Spot) -> Iterator[Edit]:
    value = constant_of(spot.node)
    if value is not None:
        if constant_of(spot.parent) is None:  # else its sign belongs to it
            yield from _another(spot, value)
    elif type(spot.held) is int and spot.held > 1:
        yield spot.edit(1.1, "x - 1")
        yield spot.edit(1.5, "x + 1")
        yield spot.edit(1.9, "2")
    elif (
        isinstance(spot.node, ast.BinOp)
        and isinstance(spot.node.op, ADDITIVE)
        and constant_of(spot.node.right) == 1
    ):
        yield spot.edit(1.1, spot.node.left)  # n for n - 1
    if spot.is_term:
        top = 0.0 if not spot.path else 0.4
        yield spot.edit(2.0 + top, "2 * x")
        yield spot.edit(2.1 + top, "x / 2")
        for text, size in spot.context.size_texts:
            yield spot.edit(2.0 + top, "x / n", n=text)
            yield spot.edit(2.2 + top, "x * n", n=text)
            if size > 1:
                yield spot.edit(2.6 + top, "x / (n - 1)", n=text)
                yield spot.edit(3.0 + top, "n / (n - 1) * x", n=text)
                yield spot.edit(3.0 + top, "(n - 1) / n * x", n=text)


def _another(spot: Spot, value: float) -> Iterator[Edit]:
    is_exponent = spot.is_operand_of(ast.Pow) and spot.path[-1][0] == "right"
    is_added = isinstance(spot.tree, ast.AugAssign) and isinstance(spot.tree.op, ADDITIVE)
    for cost, other in _others(value, is_exponent):
        if other == -value and is_added and spot.path == (("value", None),):
            continue  # `-=` for `+=` says it better
        if (other == 1 and spot.is_operand_of(ast.Mult)) or (other == 0 and spot.is_operand_of(*ADDITIVE)):
            continue  # leaving it out is another edit, and says the same
        yield spot.edit(cost, repr(other))
    for text, size in spot.context.size_texts:
        if not is_exponent and size != value:
            yield spot.edit(1.8, text)


def _others(value: float, is_exponent: bool) -> Iterator[tuple[float, float]]:
    candidates: list[tuple[float, float]] = [(0.8, -value), (1.0, value + 1), (1.0, value - 1)]
    if is_exponent:
        candidates += [(1.0, exponent) for exponent in _EXPONENTS]
    candidates += [(1.1, 2 * value), (1.1, value / 2), (1.2, 1), (1.2, 0), (1.2, 2), (1.3, 0.5)]
    if value not in (0, 1, -1):
        candidates += [(1.3, 1 / value)]
    seen = {value}
    for cost, other in candidates:
        tidy = int(other) if float(other).is_integer() and abs(other) < 1e9 else other
        if tidy not in seen and math.isfinite(tidy):
            seen.add(tidy)
            yield cost, tidy


# -- predictions -----------------------------------------------------------------------------------------------------


def _predictions(case: Case) -> Iterator[Prediction]:
    """The whole gradient is right but for one constant factor."""
    scene = case.first
    factor = fitted(scene.found, scene.expected, scene) if scene.fits else None
    if factor is None:
        return
    if norm(scene.found) <= scene.tolerance:
        yield Prediction("zero", lambda s: 0 * s.expected, "it is zero throughout", evidence={"factor": 0.0})
        return
    constant = constants_of(case).named_or_plain(factor, scene.precision)
    if constant is None or (scene.found.numel() == 1 and len(case.scenes) == 1):
        return  # one number is always some multiple of another
    yield Prediction(
        "flipped-sign" if constant.value == -1 else "constant-factor",
        lambda s: constant.value * s.expected,
        lambda: _sentence(case, constant),
        evidence={"factor": constant.value, "factor_text": constant.text, "size": constant.size or None},
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
        used = math.prod(edge.target.shape[dim] for dim in edge.broadcast_dims)
        if constant.value == size and edge.op.operation is ops.MEAN:
            return f"the mean in {line(case, edge.op)} divides by {size}"
        reduces = edge.op.operation.family in (Family.REDUCTION, Family.PRODUCT)
        if size > 1 and constant.value == 1 / size and used == size and not reduces:
            return f"the sum over the {size} uses in {line(case, edge.op)} is taken as a mean"
    return ""


MISTAKE = Mistake("constant", _edits, _predictions)
