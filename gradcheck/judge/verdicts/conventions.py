"""Gradients that are a constant factor off on purpose: `dZ = A - Y`, with the 1/m only in `dW = dZ.T @ X / m`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.judge.judged import Faults, Judged
from gradcheck.judge.verdict import Verdict
from gradcheck.replay.compare import distance, inner, norm, same_but_for_ones
from gradcheck.replay.passes import PassPlan, Version

if TYPE_CHECKING:
    from gradcheck.judge.judge import Judge


_MOST = 1e9  # elements that one takes a mean over


def scaled(judge: Judge, version: Version, found: torch.Tensor, faults: Faults, noise: float) -> bool:
    """Whether it is a convention's multiple of a gradient, and everything it is for is right; if so, it is
    judged here."""
    gradients, _ = judge.expectation(faults)
    best: tuple[float, Value] | None = None
    fitting: list[Value] = []
    size = norm(found)
    unnamed = version.candidate.binding is None
    for value, expected in gradients.items():
        if expected.shape != found.shape:
            continue
        expected_size = norm(expected)
        if expected_size == 0:
            continue
        factor = inner(found, expected) / expected_size**2
        if judge.ascends:
            factor = -factor  # `error = target - output` and `W += lr * ...`
        if not (_is_count(factor) or (judge.ascends and abs(factor - 1) < 1e-9) or (unnamed and factor > 0)):
            continue
        if judge.ascends:
            factor = -factor
        tolerance = judge.tolerance(version, size, noise)
        if distance(found, factor * expected) <= tolerance:
            fitting.append(value)
            evidence = judge.partners.score(version.candidate, value)
            if best is None or evidence > judge.partners.score(version.candidate, best[1]):
                best = (factor, value)
    if best is None:
        return False
    factor, partner = best
    if partner is judge.plan.loss:
        return False
    given = judge.given(faults, {partner: found})
    if not (unnamed or judge.ascends or _made_good(judge, version, gradients, given, factor)):
        return False
    if unnamed and (version.candidate.of is None or partner.root is not version.candidate.of.root):
        return False
    expected = gradients[partner]
    evidence_shown = f"its numbers, {factor:g} times the true gradient"
    judged = Judged(version, partner, Verdict.CORRECT, evidence_shown, scale=factor)
    judged.alternatives = [value for value in fitting if value is not partner]
    judge.accept(judged, found, factor * expected, noise)
    judged.truth = factor * judge.run.graph.truth[partner] if partner in judge.run.graph.truth else None
    if judged.truth is not None and distance(found, judged.truth) > judge.tolerance(
        version, size, judged.noise
    ):
        judged.verdict, judged.faults = Verdict.INHERITED, faults
    return True


def _made_good(
    judge: Judge,
    version: Version,
    gradients: dict[Value, torch.Tensor],
    given: dict[Value, torch.Tensor],
    factor: float,
) -> bool:
    """Whether the factor is made good where it matters: of the parameters' gradients that are computed from this
    one (of all gradients, if none of a parameter is), more are right than are scaled alike. Those that are
    neither have a fault of their own. `given` are the gradients if this one is taken as it is."""
    right, alike = {True: 0, False: 0}, {True: 0, False: 0}  # of parameters, of others
    of_parameters = False
    for consumer, tensor, partner in _ends(judge, version):
        expected = gradients.get(partner)
        if expected is None or not same_but_for_ones(expected.shape, tensor.shape):
            continue
        tolerance = judge.tolerance(consumer, norm(tensor), judge.noise(consumer))
        if norm(expected) <= tolerance or distance(given[partner], expected) <= tolerance:
            continue  # it is right whatever this one is
        of_parameter = partner not in judge.forward_made
        of_parameters |= of_parameter
        right[of_parameter] += distance(tensor, expected) <= tolerance
        alike[of_parameter] += distance(tensor, factor * expected) <= tolerance
    return 0 < right[of_parameters] >= alike[of_parameters]


def factor_made_good(
    judge: Judge, version: Version, found: torch.Tensor, at: Value, faults: Faults
) -> float | None:
    """By what factor the gradients computed from this one say that it is kept: most of them are its VJP divided
    by that; or all of the program point uphill. None if nothing says so."""
    if judge.ascends:
        return -1.0
    expected = judge.run.graph.truth.get(at)
    if expected is None or expected.shape != found.shape:
        return None
    given = judge.given(faults, {at: found})
    factors: list[float] = []
    for consumer, tensor, partner in _ends(judge, version):
        follows = given.get(partner)
        if follows is None or partner in judge.forward_made:
            continue
        if not same_but_for_ones(follows.shape, tensor.shape):
            continue
        size = norm(tensor)
        tolerance = judge.tolerance(consumer, size, judge.noise(consumer))
        if size <= tolerance:
            continue
        factor = inner(follows, tensor) / size**2
        in_proportion = distance(follows, factor * tensor) <= tolerance * max(1.0, abs(factor))
        factors.append(factor if in_proportion else math.nan)
    likeliest = max(
        factors, key=lambda f: sum(abs(f - other) <= 1e-6 * abs(f) for other in factors), default=1.0
    )
    agreeing = sum(abs(likeliest - other) <= 1e-6 * abs(likeliest) for other in factors)
    return likeliest if _is_count(likeliest) and 2 * agreeing > len(factors) else None


def _ends(judge: Judge, version: Version) -> Iterator[tuple[Version, torch.Tensor, Value]]:
    """Finished gradients computed from this one, with what their name or use says they are of."""
    for consumer in judge.relations.consumers(version):
        tensor = judge.captured(consumer)
        if not consumer.final or tensor is None or consumer.candidate is version.candidate:
            continue
        proposal = judge.partners.propose(consumer.candidate, tensor, judge.paired, judge.run.graph.truth)
        if proposal is not None and norm(tensor) > 0:
            yield consumer, tensor, proposal.value


def ascends(plan: PassPlan) -> bool:
    """Whether the program's gradients point uphill: `W += rate * delta`, with no minus sign on the way."""
    adding = [u for u in plan.updates if u.op.name in ("add_", "add", "__iadd__", "__add__")]
    return bool(adding) and all(_adds_plainly(u.op) for u in adding)


def _adds_plainly(op: Op) -> bool:
    alpha = (op.kwargs or {}).get("alpha", 1)
    if isinstance(alpha, (int, float)) and alpha < 0:
        return False
    step = op.args[1] if len(op.args) > 1 else None
    for _ in range(4):
        if not isinstance(step, Value) or step.producer is None:
            break
        producer = step.producer
        if producer.name in ("neg", "sub", "__sub__", "__rsub__"):
            return False
        if any(isinstance(a, (int, float)) and a < 0 for a in producer.args):
            return False
        values = [a for a in producer.args if isinstance(a, Value) and a.shape == step.shape]
        step = values[0] if len(values) == 1 else None
    return True


def _is_count(factor: float) -> bool:
    """A whole number of at least 2, or one over it: what a sum over a batch differs by from a mean."""
    if not factor > 0:
        return False
    count = factor if factor > 1 else (1 / factor if factor > 0 else 0)
    return 1.5 < count < _MOST and abs(count - round(count)) < 1e-6 * count
