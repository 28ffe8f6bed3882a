"""Gradients that match nothing: which of them are wrong, which are only stages, and what they were meant to be."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Value
from gradcheck.judge.judged import Faults, Judged
from gradcheck.judge.pairing.partners import BY_NAME, Proposal
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.judge.verdicts import clipped as rescaled
from gradcheck.judge.verdicts import conventions, unchecked
from gradcheck.judge.verdicts import step_functions as steps
from gradcheck.judge.verdicts.weight_decay import is_decayed
from gradcheck.replay.compare import Fingerprints, distance, inner, norm, same_but_for_ones
from gradcheck.replay.passes import Version

if TYPE_CHECKING:
    from gradcheck.judge.judge import Judge

_MOST_WAYS = 6
_NAMED_FOR = 0.6


def mismatch(judge: Judge, version: Version, found: torch.Tensor, faults: Faults, noise: float) -> None:
    candidate = version.candidate
    successor = judge.relations.successor(version)
    if successor is None and not version.final:
        return
    if (
        rescaled.only_rescaled(judge, version)
        or rescaled.clipped(judge, version)
        or _replaced_unread(judge, version, found)
    ):
        return
    if is_decayed(version, judge.judged, judge.run):
        return
    if candidate.value.root not in judge.influences.derived and candidate.of is None:
        return
    if version.final and not candidate.returned and conventions.scaled(judge, version, found, faults, noise):
        return
    proposal = judge.partners.propose(candidate, found, judge.paired, judge.run.graph.truth)
    if proposal is None or not proposal.certain:
        agreed = _agreed_by_consumers(judge, version, found, faults, proposal)
        proposal = agreed or proposal
    elif proposal.evidence == BY_NAME and not _explains_some(judge, version, found, faults, proposal.value):
        # Not even what is computed from it takes it for what its name says.
        proposal = _agreed_by_consumers(judge, version, found, faults, None) or proposal
    # `dx = a; dx = dx + b`: the first is not yet the gradient, unless something follows from it as from one.
    is_stage = successor is not None and not judge.relations.only_rescales(successor, version)
    if is_stage and (proposal is None or not _is_used_for(judge, version, found, proposal.value, faults)):
        return
    if proposal is not None and _contributes_to(judge, version, proposal.value, faults):
        return
    if proposal is not None and _tried_aside(judge, version, proposal):
        return
    if judge.poisoned(faults):
        unchecked.after_poison(judge, version, found, proposal, faults)
    elif proposal is None:
        unchecked.unpaired(judge, version, found)
    else:
        _introduce(judge, version, found, proposal, faults, noise)


def _introduce(
    judge: Judge, version: Version, found: torch.Tensor, proposal: Proposal, faults: Faults, noise: float
) -> None:
    expected = judge.expectation(faults)[0].get(proposal.value)
    flat = expected is None or not bool(expected.any())
    if version.candidate.returned and flat and steps.leads_through_steps(judge.plan, proposal.value):
        unchecked.surrogate(judge, version, found, proposal, expected, faults, noise)
        return
    if expected is None:
        judged = Judged(version, proposal.value, Verdict.UNCHECKED, proposal.evidence, Problem.UNREACHED)
        judged.reason = "the loss does not reach this value, so there is nothing to compare with"
        judge.accept(judged, found, None, noise)
        return
    judged = Judged(version, proposal.value, Verdict.INTRODUCED, proposal.evidence, faults=faults)
    judged.problem = Problem.WRONG_VALUE
    seed: torch.Tensor | None = found
    if found.shape != expected.shape:
        if same_but_for_ones(found.shape, expected.shape):
            seed = found.reshape(expected.shape)
        else:
            judged.problem = Problem.SHAPE
            judged.reason = (
                f"its shape is {tuple(found.shape)}, but `{judge.partners.shown(proposal.value)}` has shape "
                f"{tuple(expected.shape)}"
            )
            seed = _reduced(found, expected)
    # Autograd takes what a Function returns as it is.
    returned = version.candidate.returned is not None
    judged.at_return = returned and _is_of_another(judge, version, found, faults, noise)
    factor = None
    if not returned:
        factor = conventions.factor_made_good(judge, version, found, proposal.value, faults)
    if factor is not None:
        judged.scale, expected = factor, factor * expected
        seed = None if seed is None else seed / factor
    judge.accept(judged, found, expected, noise)
    if factor is not None and judged.truth is not None:
        judged.truth = factor * judged.truth
    judge.add_fault(judged, proposal.value, seed)


def _is_of_another(judge: Judge, version: Version, found: torch.Tensor, faults: Faults, noise: float) -> bool:
    """Whether what a Function returns for one argument is the gradient of another value, and is called so."""
    tolerance = judge.tolerance(version, norm(found), noise)
    equal = judge.expectation(faults)[1].equals(found, tolerance)
    return any(judge.partners.score(version.candidate, value) >= _NAMED_FOR for value in equal)


def _reduced(found: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    """What a gradient that was never summed over its broadcast dimensions stands for, if that is clear."""
    try:
        return found.sum_to_size(expected.shape)
    except RuntimeError:
        return None


# -- no gradient of its own --------------------------------------------------------------------------------------


def _replaced_unread(judge: Judge, version: Version, found: torch.Tensor) -> bool:
    """A first try: its name is given to another tensor later on, and no gradient was computed from it (or it
    is a buffer of zeros that was never filled)."""
    if not judge.relations.renamed_later(version):
        return False
    return norm(found) == 0 or not any(
        c.candidate is not version.candidate for c in judge.relations.consumers(version)
    )


def _tried_aside(judge: Judge, version: Version, proposal: Proposal) -> bool:
    """Whether nothing reads it, its name fits only roughly, and the value it would be the gradient of has a right
    gradient whose name fits better: `dlogits2` looked at after `dlogits` is done."""
    known = judge.paired.get(proposal.value)
    if proposal.evidence != BY_NAME or known is None or known.verdict is not Verdict.CORRECT:
        return False
    score = judge.partners.score
    if score(known.candidate, proposal.value) <= score(version.candidate, proposal.value):
        return False
    own = version.candidate
    return not any(c.candidate is not own for c in judge.relations.consumers(version))


def _contributes_to(judge: Judge, version: Version, partner: Value, faults: Faults) -> bool:
    """Whether it is one branch of a gradient that comes out right: what is computed from it, for the same
    forward value (or, if that has its gradient already or this is added to something, for another one), is the true
    gradient."""
    gradients, fingerprints = judge.expectation(faults)
    expected = gradients.get(partner)
    if expected is None:
        return False
    if _is_term(judge, version, partner) or _is_right_branch(judge, version, partner, faults):
        return True
    known = judge.paired.get(partner)
    has_another = known is not None and known.candidate is not version.candidate and not known.faults
    for consumer in judge.relations.consumers(version):
        tensor = judge.captured(consumer)
        if tensor is None:
            continue
        tolerance = judge.tolerance(consumer, norm(tensor), judge.noise(consumer))
        if norm(tensor) <= tolerance:
            continue
        if tensor.shape == expected.shape and distance(tensor, expected) <= tolerance:
            return True
        branch = has_another or judge.relations.adds(consumer, version)
        if branch and fingerprints.equals(tensor, tolerance):
            return True
    return False


def _is_term(judge: Judge, version: Version, partner: Value) -> bool:
    """Whether it is a term of a sum that is named for the same value: the sum is judged, for both."""
    own = judge.partners.score(version.candidate, partner)
    return any(
        consumer.candidate is not version.candidate
        and judge.relations.adds(consumer, version)
        and judge.partners.score(consumer.candidate, partner) >= own
        for consumer in judge.relations.consumers(version)
    )


def _is_right_branch(judge: Judge, version: Version, partner: Value, faults: Faults) -> bool:
    """Whether it is what comes back on some of the ways from its value to the loss, and another gradient is named
    for the whole."""
    own = judge.partners.score(version.candidate, partner)
    whole = any(
        other.value is not version.candidate.value
        and other.versions[-1].after > version.after
        and other.name != version.candidate.name
        and judge.partners.score(other, partner) >= own > 0
        for other in judge.plan.candidates
    )
    found = judge.captured(version)
    if not whole or found is None:
        return False
    tolerance = judge.tolerance(version, norm(found), judge.noise(version))
    ways = judge.ways_back(partner, faults)
    return 1 < len(ways) <= _MOST_WAYS and any(
        same_but_for_ones(total.shape, found.shape) and distance(total, found) <= tolerance
        for size in range(1, len(ways))
        for some in combinations(ways, size)
        for total in [torch.stack(some).sum(0)]
    )


def _is_used_for(judge: Judge, version: Version, found: torch.Tensor, at: Value, faults: Faults) -> bool:
    """Whether something that is right for nothing else is what follows if `found` is the gradient at `at`."""
    waiting = _unexplained(judge, version, found, faults, finished=False)
    return _explained(judge, found, faults, at, waiting) > 0


# -- what it was meant to be -------------------------------------------------------------------------------------


def used_for_another(judge: Judge, version: Version, found: torch.Tensor, faults: Faults) -> bool:
    """Whether nothing computed from a gradient is right, and some would be were it the gradient of another value
    than the one whose numbers it has: a line forgets a step."""
    return (
        nothing_is_right(judge, version, found, faults)
        and _agreed_by_consumers(judge, version, found, faults, None) is not None
    )


def nothing_is_right(judge: Judge, version: Version, found: torch.Tensor, faults: Faults) -> bool:
    """Whether something is computed from this gradient, and all of it is wrong."""
    gradients = judge.expectation(faults)
    finite = list(_finite_consumers(judge, version, found))
    return bool(finite) and not any(_fits(consumer, gradients, reshaped=True) for consumer in finite)


def _agreed_by_consumers(
    judge: Judge, version: Version, found: torch.Tensor, faults: Faults, named: Proposal | None
) -> Proposal | None:
    """The forward value for which everything later that is computed from this gradient comes out right."""
    root = version.candidate.value.root
    is_called_so = (
        judge.partners.named(version.candidate) or parse(version.candidate.name).form is not Form.NONE
    )
    if not is_called_so and not (
        root in judge.influences.graded and nothing_is_right(judge, version, found, faults)
    ):
        return None  # a mask, a slope: something that gradients are computed with
    if named is None and _negated_next(judge, version, found):
        return None  # what it is turned into is judged
    waiting = _unexplained(judge, version, found, faults)
    if not waiting:
        return None
    truth = judge.run.graph.truth
    options = [v for v, g in truth.items() if g.shape == found.shape and v is not judge.plan.loss]
    if named is not None and named.alternatives:
        options = [v for v in named.alternatives if v in truth and truth[v].shape == found.shape]
    # `a + b + c` has the gradient of each of its terms: the sum, which is nearer to the loss, stands for them.
    order = {value: i for i, value in enumerate(truth)}
    options.sort(key=lambda v: (float(f"{distance(found, truth[v]):.9g}"), -order[v]))
    best: tuple[int, Value] | None = None
    for value in options[:16]:
        score = _explained(judge, found, faults, value, waiting)
        if score and (best is None or score > best[0]):
            best = (score, value)
            if score == len(waiting):
                break
    if best is None:
        return None
    return Proposal(best[1], "what is computed from it", certain=True)


def _explains_some(judge: Judge, version: Version, found: torch.Tensor, faults: Faults, value: Value) -> bool:
    waiting = _unexplained(judge, version, found, faults)
    return not waiting or _explained(judge, found, faults, value, waiting) > 0


def _negated_next(judge: Judge, version: Version, found: torch.Tensor) -> bool:
    """Whether it is handed on with the other sign, under a name that speaks of gradients: `return -grad`. A forward
    pass with a `-x` in it has the gradients of both signs, so that the rest would agree with either."""
    for consumer in judge.relations.consumers(version):
        tensor = judge.captured(consumer)
        if tensor is None or consumer.candidate is version.candidate or not consumer.final:
            continue
        same_size = same_but_for_ones(tensor.shape, found.shape)
        speaks = parse(consumer.candidate.name).form is not Form.NONE
        if speaks and same_size and norm(found) and torch.equal(tensor.reshape(found.shape), -found):
            return True
    return False


_Consumer = tuple[Version, torch.Tensor, float]  # what it computed, and its tolerance
_Gradients = tuple[dict[Value, torch.Tensor], Fingerprints]


def _fits(consumer: _Consumer, gradients: _Gradients, *, reshaped: bool = False) -> bool:
    """Whether it is one of these gradients; or, where it is the step of an update (`rate * x.T @ delta`), a multiple
    of the one of its parameter."""
    version, tensor, tolerance = consumer
    of = version.candidate.of
    step = gradients[0].get(of) if of is not None and version.candidate.binding is None else None
    if step is not None and step.shape == tensor.shape:
        factor = inner(tensor, step) / max(norm(step) ** 2, 1e-300)
        return factor != 0 and distance(tensor, factor * step) <= tolerance
    return bool(gradients[1].equals(tensor, tolerance, reshaped=reshaped))


def _explained(
    judge: Judge, found: torch.Tensor, faults: Faults, value: Value, waiting: list[_Consumer]
) -> int:
    """How many come out right if `found` is taken for the gradient of `value`."""
    gradients = judge.given(faults, {value: found})
    given = gradients, Fingerprints(gradients)
    return sum(_fits(consumer, given) for consumer in waiting)


def _unexplained(
    judge: Judge, version: Version, found: torch.Tensor, faults: Faults, *, finished: bool = True
) -> list[_Consumer]:
    plain = judge.expectation(faults)
    consumers = _finite_consumers(judge, version, found, finished=finished)
    return [consumer for consumer in consumers if not _fits(consumer, plain)]


def _finite_consumers(
    judge: Judge, version: Version, found: torch.Tensor, *, finished: bool = True
) -> Iterator[_Consumer]:
    """The first gradients computed from it (only `finished` ones), but for zeros and mere copies."""
    for consumer in list(judge.relations.consumers(version))[:8]:
        tensor = judge.captured(consumer)
        if tensor is None or (finished and not consumer.final) or not bool(torch.isfinite(tensor).all()):
            continue
        size = norm(tensor)
        tolerance = judge.tolerance(consumer, size, judge.noise(consumer))
        # What is zero but for rounding agrees with anything that is.
        if size > max(tolerance, judge.noise(consumer)) and not (
            tensor.shape == found.shape and distance(tensor, found) <= tolerance
        ):
            yield consumer, tensor, tolerance
