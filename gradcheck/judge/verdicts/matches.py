"""Gradients that equal the gradient of some forward value: that value is their partner, and their line is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradcheck.fronts.tape import Value
from gradcheck.judge.data_rounding import LARGEST
from gradcheck.judge.judged import Faults, Judged
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.judge.verdicts import mismatches
from gradcheck.replay.compare import NOISE_SHARE, Fingerprints, distance, norm
from gradcheck.replay.passes import Version

if TYPE_CHECKING:
    from gradcheck.judge.judge import Judge


def match(judge: Judge, version: Version, found: torch.Tensor, faults: Faults, noise: float) -> bool:
    """Whether the gradient equals that of some forward value; if so, it is judged here."""
    size = norm(found)
    tolerance = judge.tolerance(version, size, noise)
    if size <= tolerance:
        return _match_zero(judge, version, found, faults, noise)
    if _trivial(judge, version, found):
        return False
    return (
        _match_expected(judge, version, found, faults, noise, tolerance)
        or (bool(faults) and _match_truth(judge, version, found, faults, noise, tolerance))
        or (
            LARGEST * size > tolerance
            and _match_expected(judge, version, found, faults, noise, LARGEST * size, rounded=True)
        )
    )


def _match_expected(
    judge: Judge,
    version: Version,
    found: torch.Tensor,
    faults: Faults,
    noise: float,
    tolerance: float,
    rounded: bool = False,
) -> bool:
    """With `rounded`, differences count only if the rounding of the data explains them."""
    gradients, fingerprints = judge.expectation(faults)
    for reshaped in (False, True):
        equal = fingerprints.equals(found, tolerance, reshaped=reshaped)
        if rounded:
            explains = judge.data_rounding.explains
            equal = [v for v in equal if explains(version, v, found, gradients[v], faults)]
        equal = _admitted(version, equal)
        if not equal:
            continue
        partner, evidence = judge.partners.choose(version.candidate, equal, judge.paired)
        if _meant_for_another(judge, version, found, partner, faults):
            return False
        if judge.partners.score(version.candidate, partner) < 0.5 and mismatches.used_for_another(
            judge, version, found, faults
        ):
            return False
        truth = judge.run.graph.truth.get(partner)
        off = distance(found, truth) if truth is not None else 0.0
        size = norm(found)
        real = judge.without_rounding(faults)
        inherits = bool(real) and off > judge.tolerance(version, size, max(noise, judge.noise_of(partner)))
        verdict = Verdict.INHERITED if inherits else Verdict.CORRECT
        judged = Judged(version, partner, verdict, evidence, faults=real if inherits else frozenset())
        # What the person said, or what a second name is there for, is meant, whatever else it equals here.
        meant = version.candidate.second_name or judge.partners.told(version.candidate, partner)
        if not meant:
            judged.alternatives = [value for value in equal if value is not partner]
        judged.rests_on_data = rounded
        if reshaped:
            judged.problem = Problem.SHAPE_NOTE
            judged.reason = (
                f"the numbers are right but the shape is {tuple(found.shape)}, "
                f"not {tuple(gradients[partner].shape)}"
            )
        judge.accept(judged, found, gradients[partner], noise)
        if rounded and not reshaped:
            # What is computed from it is held against it: there, the rounding of the data plays no part any more.
            judge.add_fault(judged, partner, found)
        return True
    return False


def _admitted(version: Version, equal: list[Value]) -> list[Value]:
    """What a gradient may be the gradient of: what a Function returns for an argument is that argument's."""
    candidate = version.candidate
    if not candidate.returned or not version.final:
        return equal
    return [value for value in equal if value is candidate.of]


def _match_truth(
    judge: Judge, version: Version, found: torch.Tensor, faults: Faults, noise: float, tolerance: float
) -> bool:
    """Whether it is the true gradient although what it was computed from is not: faults cancel."""
    equal = _admitted(version, judge.expectation(frozenset())[1].equals(found, tolerance))
    if not equal:
        return False
    partner, evidence = judge.partners.choose(version.candidate, equal, judge.paired)
    judged = Judged(version, partner, Verdict.COMPENSATED, evidence, faults=faults)
    judged.problem = Problem.WRONG_VALUE
    judge.accept(judged, found, judge.expectation(faults)[0].get(partner), noise)
    # What is computed from it is held against it, not against the faults.
    judge.add_fault(judged, partner, found)
    return True


def match_once_mended(
    judge: Judge, version: Version, found: torch.Tensor, faults: Faults, noise: float
) -> bool:
    """Whether it would be right if only the gradients it was computed from were, although it is not their VJP: a
    right line may use a gradient as a sum that it needs (`d_beta` in the line of batch normalisation)."""
    right = judge.mended(version, faults) if faults and version.final else None
    if right is None or not bool(torch.isfinite(right).all()):
        return False
    tolerance = judge.tolerance(version, norm(right), noise)
    if norm(right) <= tolerance or _trivial(judge, version, right):
        return False
    if judge.ascends:
        right = -right
    for reshaped in (False, True):
        equal = _admitted(
            version, judge.expectation(frozenset())[1].equals(right, tolerance, reshaped=reshaped)
        )
        if not equal:
            continue
        partner, evidence = judge.partners.choose(version.candidate, equal, judge.paired)
        if judge.partners.meant_instead(version.candidate, partner, right) is not None:
            return False
        judged = Judged(version, partner, Verdict.INHERITED, evidence, faults=faults)
        truth = judge.run.graph.truth[partner]
        seed = found if found.numel() == truth.numel() else None
        if judge.ascends:
            judged.scale, seed = -1.0, None if seed is None else -seed
        judge.accept(judged, found, judge.expectation(faults)[0].get(partner), noise)
        if judge.ascends:
            judged.truth = -truth
        judge.add_fault(judged, partner, seed)
        return True
    return False


def _meant_for_another(
    judge: Judge, version: Version, found: torch.Tensor, partner: Value, faults: Faults
) -> bool:
    """Whether a gradient that equals that of `partner` was written, and is used, as that of another value: a
    wrong gradient. (If everything computed from it is right, it is only misnamed.)"""
    meant = judge.partners.meant_instead(version.candidate, partner, found, of_unnamed=True)
    if meant is None or meant not in judge.run.graph.truth:
        return False
    previous = judge.paired.get(meant)
    if previous is not None and previous.candidate.variable == version.candidate.variable:
        return False
    other_shape = judge.run.graph.truth[meant].numel() != found.numel()
    if meant not in judge.forward_made:
        # A bias of ones may have the gradient of the layer: where only the shape differs, the layer must have its own.
        has_own = partner in judge.paired and judge.paired[partner].candidate is not version.candidate
        return not other_shape or version.candidate.second_name or has_own
    if other_shape:
        return mismatches.nothing_is_right(judge, version, found, faults)
    given = Fingerprints(judge.given(faults, {meant: found}))
    plain = judge.expectation(faults)[1]
    for consumer in judge.relations.consumers(version):
        tensor = judge.captured(consumer)
        if tensor is None or not bool(torch.isfinite(tensor).all()):
            continue
        tolerance = judge.tolerance(consumer, norm(tensor), judge.noise(consumer))
        if norm(tensor) <= tolerance or plain.equals(tensor, tolerance, reshaped=True):
            continue
        if given.equals(tensor, tolerance, reshaped=True):
            return True
    return False


def _trivial(judge: Judge, version: Version, found: torch.Tensor) -> bool:
    """A constant equals many gradients; only a name that says so makes it one."""
    flat = found.reshape(-1)
    constant = bool((flat == flat[0]).all())
    return constant and not judge.partners.named(version.candidate)


def _match_zero(judge: Judge, version: Version, found: torch.Tensor, faults: Faults, noise: float) -> bool:
    """A gradient that is zero but for rounding: only its name or use can say what of."""
    if not version.final:
        return True  # a buffer that is filled later
    proposal = judge.partners.propose(version.candidate, found, judge.paired, judge.run.graph.truth)
    if proposal is None:
        return not judge.partners.named(version.candidate)
    partner = proposal.value
    expected = judge.expectation(faults)[0].get(partner)
    if expected is None:
        return False
    if norm(expected) > max(NOISE_SHARE * max(noise, judge.noise_of(partner)), judge.rounding.floor):
        return False
    judged = Judged(version, partner, Verdict.UNOBSERVABLE, proposal.evidence)
    judged.reason = "the true gradient is zero here, but for rounding"
    judge.accept(judged, found, expected, noise)
    return True
