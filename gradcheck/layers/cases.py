"""The cases: what is varied, because a fault may show under it alone."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from gradcheck.layers.fitting import fit_and_shapes, runs
from gradcheck.layers.methods import held_by
from gradcheck.layers.records import AS_CONSTRUCTED, EVALUATION, LARGE, REPEATED, SEVERAL
from gradcheck.layers.sizes import Term
from gradcheck.layers.subject import Subject
from gradcheck.layers.trial import Plan, Trial, build, own_random_numbers, set_mode, takes_mode
from gradcheck.layers.usage import multiple_wanted
from gradcheck.layers.wanted import optional_terms
from gradcheck.program.live import parameters_taken

_LARGE = 5.0  # standard deviations: exp() of it is far from overflowing, tanh() of most of it is 1
_SQUARE = 4


@dataclass(frozen=True, slots=True)
class Case:
    """`trial` is None where there is nothing to try; `reason` says why."""

    name: str
    trial: Trial | None
    reason: str = ""


def in_state(trial: Trial, state: str) -> Trial:
    if state == AS_CONSTRUCTED:
        return replace(trial, jitter=False)
    if state == LARGE:
        return replace(trial, scale=_LARGE)
    if state == REPEATED:
        return replace(trial, repeated=True)
    if state == EVALUATION:
        return replace(trial, training=False)
    return trial


def cases_of(subject: Subject, plan: Plan, seed: int) -> Iterator[Case]:
    """Every case of one plan, the plainest first."""
    plain = Trial(plan, seed=seed)
    names = plan.names
    floats = not plan.has_indices
    yield Case(SEVERAL, plain)
    yield Case(AS_CONSTRUCTED, in_state(plain, AS_CONSTRUCTED))
    yield _sized(plain, "batch of 1", {"N": 1})
    yield _sized(plain, "square", dict.fromkeys("NDMTHW", _SQUARE))
    yield _sized(plain, "one feature", {"D": 1, "G": 1})
    yield _odd_sizes(subject, plain)
    if "K" in names:
        yield _sized(plain, "window of 3", {"K": 3})
    for name, other in _other_options(subject, plain):
        yield Case(name, other)
    yield from _with_optional(subject, plain)
    if floats:
        yield Case(LARGE, in_state(plain, LARGE))
    else:
        yield Case(REPEATED, in_state(plain, REPEATED))
    if has_mode(subject, plain):
        yield Case(EVALUATION, in_state(plain, EVALUATION))
    else:
        yield Case(EVALUATION, None, "the layer has no switch for it")


def _odd_sizes(subject: Subject, plain: Trial) -> Case:
    """Features that are no square number and no power of two, if the layer takes them: two heads of two features hide
    that the one is taken for the other. What is split in two has an even number of them."""
    others = {"T": 5, "H": 5, "W": 7} if plain.plan.names & set("THW") else {"M": 3}
    times = multiple_wanted(subject.forward) if subject.forward is not None else 1
    sizes = [{"D": 7, **others}, {"D": 6, **others}, others]
    tried = [_sized(plain, "odd sizes", {n: times * size for n, size in each.items()}) for each in sizes]
    return next((case for case in tried if case.trial is None or runs(subject, case.trial) is None), tried[0])


def _sized(plain: Trial, name: str, sizes: dict[str, int]) -> Case:
    matter = plain.plan.names
    wanted = {size: number for size, number in sizes.items() if size in matter}
    fixed = sorted(wanted.keys() & plain.plan.pinned)
    if fixed:
        wanted = {size: number for size, number in wanted.items() if size not in fixed}
        if name == "square":  # the rows alone can be made as many as the features
            wanted = {"N": plain.sizes["D"]} if "N" in wanted and "D" in matter else {}
    if name == "one feature" and "D" not in wanted:
        wanted = {}
    changed = {size: number for size, number in wanted.items() if plain.sizes[size] != number}
    if not changed:
        return Case(name, None, "its sizes were given" if fixed else "it has no such size")
    return Case(name, plain.with_sizes(**changed))


def has_mode(subject: Subject, trial: Trial) -> bool:
    if takes_mode(trial.plan):
        return True
    with own_random_numbers(trial.seed):
        return set_mode(held_by(build(subject, trial).layer), False)


_WINDOWS = re.compile(r".*stride.*|(.*_)?pad(ding)?")
_STRENGTHS = re.compile(
    r"(.*_)?(reg|regulari[sz]ation|lambd?a?|lambda_|l2|weight_decay)(_?(strength|lambda|lambd))?"
)


def _other_options(subject: Subject, plain: Trial) -> Iterator[tuple[str, Trial]]:
    """Other values for what says how windows lie: a stride of 1, under which they overlap; no padding, or some. It may
    be an argument of the constructor or of `forward`, or an entry of a dict that `forward` takes."""
    plan = plain.plan
    if subject.constructor is not None and not plan.more:
        given = dict(plan.arguments)
        for name, value in _other_values(parameters_taken(subject.constructor) or [], given):
            yield f"{name}={value}", replace(plain, other=((name, value),))
    inputs, parameters = dict(plan.inputs), _taken_by_forward(subject, plain)
    for name, value in _other_values(parameters, inputs):
        yield f"{name}={value}", replace(plain, handed=((name, value),))
    defaults = {p.name: p.default for p in parameters if isinstance(p.default, str)}
    for name, word in (defaults | inputs).items():
        others = subject.words.get(name, ()) if isinstance(word, str) and name != "mode" else ()
        yield from (
            (f"{name}={each!r}", replace(plain, handed=((name, each),))) for each in others if each != word
        )
    for name, term in inputs.items():
        for key, now in term.items() if isinstance(term, dict) else ():
            if _WINDOWS.fullmatch(key.lower()) and isinstance(now, int):
                value = _other_than(now, key)
                yield f"{key}={value}", replace(plain, handed=((name, {**term, key: value}),))


def _with_optional(subject: Subject, plain: Trial) -> Iterator[Case]:
    """What `forward` takes after its inputs and is None by itself: a bias, a mask. One after the other, as the shape that
    `backward` has a gradient for, if it has one."""
    for parameter in _taken_by_forward(subject, plain)[len(plain.plan.inputs) :]:
        plan = plain.plan
        ways = [
            replace(plain, plan=replace(plan, inputs=(*plan.inputs, (parameter.name, term))))
            for term in optional_terms(parameter, plan.first)
        ]
        fits = [
            (fit_and_shapes(subject, way)[0], -n, way)
            for n, way in enumerate(ways)
            if runs(subject, way) is None
        ]
        if not fits:
            return
        plain = max(fits, key=lambda each: each[:2])[-1]
        yield Case(f"with {parameter.name}", plain)


def _taken_by_forward(subject: Subject, plain: Trial) -> list[inspect.Parameter]:
    try:
        with own_random_numbers(plain.seed):
            return parameters_taken(subject.forward or build(subject, plain).forward) or []
    except Exception:  # the plain case says so
        return []


def _other_values(parameters: list[inspect.Parameter], given: dict[str, Term]) -> Iterator[tuple[str, Any]]:
    for parameter in parameters:
        if parameter.default == 0 and _STRENGTHS.fullmatch(parameter.name.lower()):
            if parameter.name not in given:
                yield parameter.name, 0.7
            continue
        now = given.get(parameter.name, parameter.default)
        if _WINDOWS.fullmatch(parameter.name.lower()) and (now is None or isinstance(now, int)):
            yield parameter.name, _other_than(now, parameter.name)


def _other_than(now: int | None, name: str) -> int:
    if "stride" in name.lower():
        return 2 if now == 1 else 1
    return 0 if now else 1
