"""Gradients that are a constant factor off on purpose: `dZ = A - Y`, with the 1/m only in `dW = dZ.T @ X / m`."""

import math
from collections.abc import Iterator

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.markers import OUR_PLACE
from gradcheck.fronts.tape import Value
from gradcheck.judge.case import Case
from gradcheck.judge.consumers import Consumer
from gradcheck.judge.judged import Fault, Faults, Ruling
from gradcheck.judge.pairing.partners import Proposal
from gradcheck.judge.rates import usual_rate
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.ops import NEG
from gradcheck.replay.compare import distance, inner, multiple_of, norm, same_but_for_ones
from gradcheck.replay.passes import Candidate, Version

_MOST = 1e9  # elements that one takes a mean over


def convention(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): it is a whole multiple of a gradient, and the outputs computed from it are
    right."""
    judge, candidate, unit = case.judge, case.candidate, _before_it_arrives(case)
    if candidate.returned or not case.says_something(case.found) or (unit is None and _is_rescaled(case)):
        return None
    fitting = dict(_multiples(case, unit))
    if not fitting or judge.partners.is_out_of_reach(candidate, case.truth):
        return None

    kept = kept_upstream(case) if judge.ascends else []
    partner = max(fitting, key=lambda v: (fitting[v] in kept, judge.partners.score(candidate, v)))
    factor = fitting[partner]
    if partner is judge.plan.loss:
        return None
    if candidate.binding is None:
        if candidate.of is None or partner.root is not candidate.of.root:
            return None
    elif not (
        (case.judge.ascends and _is(factor, _usual(case) or factor))
        or _is(factor, unit)
        or _made_good(case, partner, factor)
        or (
            judge.partners.meant_instead(candidate, partner, case.found, of_unnamed=True) is None
            and (_is_handed_on(case, partner, fitting) or _made_good_further_on(case, factor))
        )
    ):
        return None
    proposal = Proposal(partner, f"its numbers, {factor:g} times the true gradient")
    judged = case.judged(proposal, Verdict.CORRECT, expected=case.gradients[partner], scale=factor)
    judged.alternatives = [v for v in fitting if v is not partner and math.isclose(fitting[v], factor)]
    tolerance = judge.tolerance(case.version, case.size, judged.noise)
    if judged.truth is not None and distance(case.found, judged.truth) > tolerance:
        judged.verdict, judged.faults = Verdict.INHERITED, case.faults
    return Ruling(judged)


def out_of_convention(case: Case) -> Ruling | None:
    """Blame needs an intervention (principle 2): it is the true gradient, but it is computed from one that is kept as a
    multiple, and everything computed from it is wrong and becomes right if it is kept as that multiple too."""
    judge, kept = case.judge, {*kept_upstream(case)}
    scale = kept.pop() if len(kept) == 1 else 1.0
    if scale == 1 or case.is_zero or not case.version.final:
        return None
    equal = case.admitted(case.true_fingerprints.equals(case.found, case.tolerance))
    if not equal:
        return None
    partner = judge.partners.choose(case.candidate, equal, judge.paired)
    found = [(c, of) for c, of in _ends(case) if of in case.truth]
    # Those between are kept as this one is.
    outer = [end for end in found if _is_parameter(case, end[1])] or found
    ends = [(c, case.truth[of]) for c, of in outer]
    ends = [(c, truth) for c, truth in ends if same_but_for_ones(truth.shape, c.found.shape)]
    rates = _rates_of_steps(case)
    own = [rates.get(c.version.candidate, 0.0) for c, of in found if of is partner.value]
    divided_again = any(_is(scale * rate, other) for rate in own for other in rates.values())
    fits = ends and all(distance(scale * c.found, truth) <= scale * c.tolerance for c, truth in ends)
    if not fits and not divided_again:
        return None
    expected = case.gradients[partner.value]
    if distance(case.found, scale * expected) <= case.tolerance:
        return Ruling(
            case.judged(partner, Verdict.INHERITED, expected=expected, faults=case.faults, scale=scale)
        )
    judged = case.judged(partner, Verdict.INTRODUCED, Problem.WRONG_VALUE, expected=expected, scale=scale)
    return Ruling(judged, Fault(judged, case.found / scale))


def is_turned_round(case: Case, value: Value) -> bool:
    """Of a `-x` in the middle of a formula, with nothing computed from it that comes out right: it is the gradient of `x`
    with the wrong sign."""
    if value.producer is None or value.producer.operation is not NEG or case.judge.partners.has_name(value):
        return False
    right_ones = case.judge.expectation(case.faults)
    return not any(consumer.is_one_of(right_ones) for consumer in case.consumers.finished)


def _is_rescaled(case: Case) -> bool:
    """`dW /= m`: a stage of it. (What is masked in place is a gradient before and after.)"""
    last = case.candidate.versions[-1]
    return not case.version.final and (
        case.candidate.binding is None or case.judge.relations.only_rescales(last, case.version)
    )


def _multiples(case: Case, unit: float | None) -> Iterator[tuple[Value, float]]:
    """Values whose gradient it is a multiple of, by a factor that a convention may have."""
    ascends, unnamed = case.judge.ascends, parse(case.candidate.name).form is Form.NONE
    alone = case.found.numel() == 1
    if case.candidate.binding is not None and alone:
        unnamed = False  # any number is a multiple of another
    # Of single numbers, each is a multiple of another.
    rate = usual_rate(case.judge, case.candidate) if alone and case.candidate.binding is None else None
    sign = -1 if ascends else 1  # `error = target - output` and `W += lr * ...`
    for value, expected in case.gradients.items():
        factor = _exact(multiple_of(case.found, expected, case.tolerance))
        plain = sign * factor
        may_be = (
            _is_count(plain, alone)
            or _is(factor, unit)
            or (ascends and abs(plain - 1) < 1e-9)
            or (unnamed and plain > 0)
        )
        if rate is not None and abs(factor - rate) > 1e-6 * abs(factor):
            continue
        if may_be and not is_turned_round(case, value):
            yield value, factor


def _before_it_arrives(case: Case) -> float | None:
    """By what factor a gradient is right that a layer's forward pass computes along with its loss, whatever arrives there
    later: that of the loss itself."""
    plan = case.judge.plan
    ours = [op for op in plan.forward_ops if op.code.co_filename == OUR_PLACE]
    given = {value for op in ours for value in op.inputs if value.producer not in (None, *ours)}
    arriving = [float(case.truth[value]) for value in given if value.shape == () and value in case.truth]
    early = case.version.after < plan.loss_op.index and len(given) == len(arriving) == 1
    return 1 / arriving[0] if early and arriving[0] else None


def _is(factor: float, other: float | None) -> bool:
    return other is not None and abs(factor - other) <= 1e-6 * abs(other)


def _usual(case: Case) -> float | None:
    """The factor that most gradients of parameters have; any may, where those have no names, and a rate is a part of each."""
    if not case.judge.ascends:
        return 1.0
    factors = _factors_of_parameters(case)
    return max(factors, key=factors.count, default=None)


def _factors_of_parameters(case: Case, besides: Candidate | None = None) -> list[float]:
    """Of the gradients that a use or a name says are those of parameters, where they are any multiple of the true one."""
    return [
        float(f"{factor:.9g}")
        for candidate, of, factor in case.judge.multiples
        if factor and of not in case.judge.forward_made and candidate.binding and candidate is not besides
    ]


def _rates_of_steps(case: Case) -> dict[Candidate, float]:
    """What multiples of their gradients the parameters are moved by."""
    return {step: rate for step, of, rate in case.judge.multiples if step.binding is None and step.of is of}


def _made_good(case: Case, partner: Value, factor: float) -> bool:
    """Whether the factor is made good where it matters: of the parameters' gradients that are computed from this
    one (of all gradients, if none of a parameter is), more are right than are scaled alike. Those that are
    neither have a fault of their own."""
    puts_a_factor = any(kept != factor for kept in kept_upstream(case, partner))  # its own line
    if partner not in case.judge.forward_made and puts_a_factor:
        return False
    given = case.judge.given(case.faults, {partner: case.found})
    expectations = [case.judge.expectation(faults) for faults in (Faults(), case.faults)]
    right, alike = {True: 0, False: 0}, {True: 0, False: 0}  # of parameters, of others
    of_parameters, usual, ends = False, _usual(case) or -1.0, [*_ends(case)]
    rates = _rates_of_steps(case)
    moved = {consumer.version.candidate for consumer, _ in ends}
    others = [rate for step, rate in rates.items() if step not in moved]
    for consumer, of in ends:
        expected = case.gradients.get(of)
        if expected is None or not same_but_for_ones(expected.shape, consumer.found.shape):
            continue
        tolerance = consumer.tolerance
        if norm(expected) <= tolerance or distance(given[of], expected) <= tolerance:
            continue  # it is right whatever this one is
        of_parameter = of not in case.judge.forward_made
        of_parameters |= of_parameter
        # A step is a multiple by its rate; one along this very gradient says nothing of what that is, unless it is divided,
        # and one that this line may have put its factor to, only if other parameters are moved at the same rate.
        step = consumer.version.candidate
        unnamed = step.binding is None and (of is not partner or step.divided)
        is_step = unnamed and any(map(consumer.is_one_of, expectations))
        is_step &= not puts_a_factor or any(_is(rates.get(step, 0.0), rate) for rate in others)
        right[of_parameter] += is_step or distance(consumer.found, usual * expected) <= tolerance
        alike[of_parameter] += distance(consumer.found, factor * expected) <= tolerance
    return 0 < right[of_parameters] >= alike[of_parameters]


def _is_handed_on(case: Case, partner: Value, fitting: dict[Value, float]) -> bool:
    """Whether it is computed from gradients that are kept as this multiple, and from no others. (That of a parameter is
    no multiple; that of the data, which moves nothing, is, and what the same line gave in earlier turns.)"""
    place, factor = case.by_place, fitting[partner]
    equal = [value for value, other in fitting.items() if other == factor]
    earlier = any(j.scale == factor and j.candidate.name == case.candidate.name for j in case.judge.judged)
    if (_is_parameter(case, partner) and not earlier) or case.is_used_for_another(partner, equal):
        return False
    if place is not None and place.value not in equal and kept_factor(case, place.value) not in (None, 1):
        return False  # what is computed from it is right for another value, kept as a multiple
    kept = kept_upstream(case)
    return bool(kept) and all(scale == factor != 1 for scale in kept)


def _is_parameter(case: Case, of: Value) -> bool:
    """Whether it is none of the data, as far as it is seen what is moved."""
    moved = {update.parameter.root for update in case.judge.plan.updates}
    return of not in case.judge.forward_made and (not moved or of.root in moved)


def kept_upstream(case: Case, besides: Value | None = None) -> list[float]:
    """As what multiples the gradients are kept that it is computed from, those of one value excepted."""
    judge = case.judge
    rooted = (j for j in judge.rooted if j.of in judge.forward_made and j.of is not besides)
    scales = {j.candidate.value: j.scale or 1.0 for j in rooted}
    return [scales[value] for value in judge.relations.nearest(case.version, scales)]


def _made_good_further_on(case: Case, factor: float) -> bool:
    """Whether a gradient that is the next one computed from this has a fault of its own, and those behind it say that
    it is kept as this multiple as well."""
    judge = case.judge
    known = {candidate.value for candidate in judge.plan.candidates}
    for consumer in case.consumers.finished:
        if case.candidate.value in judge.relations.nearest(consumer.version, known):
            influence = judge.influence(consumer.version)
            further = Case(judge, consumer.version, consumer.found, influence, case.outputs)
            of = further.proposal.value if further.proposal is not None else None
            if of in judge.forward_made and kept_factor(further, of) == factor != 1:
                return True
    return False


def kept_factor(case: Case, at: Value) -> float | None:
    """By what factor the gradients computed from this one say that it is kept: most of them are its VJP divided
    by that; or all of the program point uphill; or those it is computed from, where those after it say nothing. None if
    nothing says so."""
    if case.candidate.binding is None and (rate := usual_rate(case.judge, case.candidate)) is not None:
        return rate
    if case.judge.ascends:
        return -1.0
    if (unit := _before_it_arrives(case)) is not None:
        return unit
    if at not in case.kept:
        case.kept[at] = _kept_factor(case, at)
    return case.kept[at]


def _kept_factor(case: Case, at: Value) -> float | None:
    expected = case.truth.get(at)
    if expected is None or expected.shape != case.found.shape:
        return None
    if not case.version.final:
        kept = {*kept_upstream(case)} - {1.0} if _is_rescaled(case) else ()
        return next(iter(kept)) if len(kept) == 1 else None
    found = [*_healing(case, at, expected)]
    known = {candidate.value for candidate in case.judge.plan.candidates}
    is_near = {v: case.candidate.value in case.judge.relations.nearest(v, known) for v, _ in found}
    # The lines between have no factor of their own.
    factors = [factor for v, factor in found if is_near[v] or not any(is_near.values())]

    # They may have faults of their own, those of lines between, or of other turns of a loop: it is kept as what it is
    # computed from; that of a parameter as those of others, but for one other, which may have the same fault.
    alike = [] if at in case.judge.forward_made else _factors_of_parameters(case, case.candidate)
    scales, all_of_them = {*kept_upstream(case)}, [factor for _, factor in found]
    for told in (factors, alike if len(alike) > 1 else (), scales if len(scales) == 1 else ()):
        # Half of them may be something else: weights that decay, beside biases that do not. Of two that differ, the one
        # that most of all say, or that what it is computed from is kept as.
        if not (finite := [factor for factor in told if math.isfinite(factor)]):
            continue
        likeliest = max(finite, key=lambda f: (finite.count(f), all_of_them.count(f), f in scales))
        is_backed = scales == {likeliest} or 2 * all_of_them.count(likeliest) > len(all_of_them)
        if 2 * finite.count(likeliest) >= max(len(told), len(finite) + (not is_backed)):
            return likeliest if _is_count(likeliest) else None
    return None


def _healing(case: Case, at: Value, truth: torch.Tensor) -> Iterator[tuple[Version, float]]:
    """By what factor it has to be kept for each gradient of a parameter that is computed from it to be right: they are
    affine in it. (Not a number, where one has a fault of its own.)"""
    without, with_it = (case.outputs.healed(case.version).fork() for _ in range(2))
    without.replace(case.version, torch.zeros_like(truth))
    with_it.replace(case.version, truth)
    for consumer, of in sorted(_ends(case), key=lambda end: end[0].version.after):
        version, wanted = consumer.version, case.truth.get(of)
        own_step = of is at and version.candidate.binding is None  # a multiple by its rate
        if wanted is None or own_step or not _is_parameter(case, of):
            continue
        rest, whole = (track.after(version).captured.get(id(version)) for track in (without, with_it))
        if rest is None or whole is None or not same_but_for_ones(wanted.shape, whole.shape):
            continue
        share, lacking = whole - rest, wanted.reshape(whole.shape) - rest
        if norm(share) <= consumer.tolerance:
            continue
        factor = inner(share, lacking) / max(norm(share) ** 2, 1e-300)
        off = distance(factor * share, lacking)
        yield version, _exact(factor) if off <= consumer.tolerance * max(1.0, abs(factor)) else math.nan


def _ends(case: Case) -> Iterator[tuple[Consumer, Value]]:
    """Finished gradients computed from this one, with what their name or use says they are of; or their numbers, of what
    moves a parameter under no such name."""
    judge = case.judge
    for consumer in case.consumers.ends:
        proposal = judge.partners.propose(
            consumer.version.candidate, consumer.found, judge.paired, case.truth
        )
        equal = case.true_fingerprints.equals(consumer.found, consumer.tolerance)
        of = proposal.value if proposal else next((v for v in equal if v not in judge.forward_made), None)
        if of is not None:
            yield consumer, of


def _exact(factor: float) -> float:
    """A whole number, or one over it, without rounding: factors are compared."""
    if not 1 / _MOST < abs(factor) < _MOST:
        return factor
    nearest = round(factor) if abs(factor) >= 1 else 1 / round(1 / factor)
    return nearest if abs(factor - nearest) <= 1e-9 * abs(factor) else factor


def _is_count(factor: float, alone: bool = False) -> bool:
    """A whole number of at least 2, or one over it: what a sum over a batch differs by from a mean. Of a single number the
    factor `alone` speaks for it, and any large one is near a whole number."""
    count = max(factor, 1 / factor) if factor > 0 else 0.0
    return 1.5 < count < _MOST and abs(count - round(count)) < (1e-4 if alone else 1e-6 * count)
