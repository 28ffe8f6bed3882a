"""Finds out how a layer is made and called: what runs decides, and what `backward` returns.

Where a way does not run, how far it came says which other way to try next: one that changes a single choice of the way
that came farthest.
"""

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from gradcheck.base.groups import grouped
from gradcheck.layers import fitting
from gradcheck.layers.arrays import numpy_counts
from gradcheck.layers.calling import LAST, as_given, inputs_of, mains_for
from gradcheck.layers.fused import GivesGradients
from gradcheck.layers.making import CannotCallError, Given, making
from gradcheck.layers.sizes import Size, TensorTerm, value_of
from gradcheck.layers.subject import NotALayer, Subject
from gradcheck.layers.trial import Built, Plan, Trial, build, own_random_numbers
from gradcheck.layers.usage import multiple_wanted
from gradcheck.layers.wanted import role_of
from gradcheck.layers.ways import OF_ONE_MAIN, Picks, Ways, farthest_first

_MOST_FITTED = 16  # ways that run, of which the one that fits best is taken
_PATIENCE = 600  # ways, none of which comes farther
_MOST_OTHERS = 60  # once inputs of one rank are found, for each other shape
_TIME_S = 20.0
_MOST_TOLD = 3
HOW_INPUTS = (
    "give its inputs: --input 4,3 for a tensor of that shape, --int-input 4,3:10 for integers below 10, once for each "
    "input in order; and --args or --kwargs for its constructor"
)


@dataclass(slots=True)
class Found:
    """`plans`: one per rank of the input, each of which runs forward. `refused`: what was tried of the other ranks."""

    plans: list[Plan] = field(default_factory=list)
    refused: dict[int, tuple[str, str]] = field(default_factory=dict)  # by rank: the inputs, and why


def discover(subject: Subject, given: Given, seed: int) -> Found:
    """Raises CannotCallError."""
    search = _Search(subject, given, seed)
    found = search.with_given_inputs() if given.inputs else search.with_guessed_inputs()
    if found is None:
        raise search.refusal()
    return found


@dataclass(slots=True)
class _Best:
    """The way that fits best, the first of equal ones."""

    plan: Plan | None = None
    picks: Picks = ()
    fit: float = -1.0
    fitted: int = 0  # ways that ran since it was found
    refused: tuple[str, str] | None = None  # the first that does not run, and why

    @property
    def is_enough(self) -> bool:
        return self.fit == fitting.FITS or self.fitted >= _MOST_FITTED * (
            1 if self.fit > fitting.NONE_FITS else 8
        )


class _Search:
    def __init__(self, subject: Subject, given: Given, seed: int) -> None:
        self._subject, self._given, self._seed = subject, given, seed
        self._times = 1  # how much larger the sizes are than what is usual
        self._until = time.monotonic() + _TIME_S
        # How it was called: how far it came, why no farther.
        self._tried: dict[str, tuple[fitting.Progress, str]] = {}

    @property
    def _is_over(self) -> bool:
        return time.monotonic() > self._until

    def with_given_inputs(self) -> Found | None:
        best = _Best()
        for plan, function, parameters in self._makings():
            calls: set[str] = set()
            for way in as_given(self._subject, plan, self._given, parameters, function):
                call = f"{_call_text(self._subject, way)} {_shape_text(way)}"
                if call in calls:  # whatever its sizes are named
                    continue
                calls.add(call)
                self._try(best, way, ())
                if best.is_enough or self._is_over:
                    break
            if best.plan is not None or self._is_over:
                break
        return Found([best.plan]) if best.plan is not None else None

    def with_guessed_inputs(self) -> Found | None:
        """A batch first: most layers run on a single row too, by broadcasting."""
        subject, given = self._subject, self._given
        made = next(self._makings(), None)
        if made is None:
            return None
        _, function, parameters = made
        kept: Found | None = None
        has_target = "target" in (role_of(each.name) for each in parameters)
        raises, fit = False, -1.0
        for group in mains_for(parameters, given):
            is_last = any(group is each for each in LAST)
            if raises and (group is LAST[-1] or not is_last):
                continue
            ways = Ways(subject, given, group, parameters, function)
            best = self._best_of_group(ways, len(group))
            if best.plan is None or best.fit <= fit or (raises and best.fit < fitting.FITS):
                continue
            found = self._of_other_ranks(ways, group, best)
            if kept is not None and raises:
                found.refused[2] = _shape_text(kept.plans[0]), "`backward`, which is for one row, raises"
            kept, fit = found, best.fit
            if fit == fitting.FITS or (fit > fitting.NONE_FITS and (has_target or not is_last)):
                return found  # what a loss compares with may have been guessed wrong
            raises = fit <= 0  # on several rows; maybe it is written for one
        if kept is None and self._times == 1 and (times := multiple_wanted(function)) > 1:
            self._times = times
            return self.with_guessed_inputs()
        return kept

    def _makings(self) -> Iterator[tuple[Plan, Callable[..., Any], list[inspect.Parameter]]]:
        """Ways to make the layer, each with its `forward` and what that must be given."""
        for plan in making(self._subject, self._given).ways():
            layer = self._made(plan)
            if layer is not None:
                function = self._subject.forward or Built(layer).forward
                yield plan, function, inputs_of(function, isinstance(layer, GivesGradients))

    def _made(self, plan: Plan) -> object | None:
        """Raises NotALayer."""
        subject = self._subject
        with own_random_numbers(self._seed):
            try:
                trial = Trial(plan.enlarged(self._times), jitter=False, seed=self._seed)
                layer: object = build(subject, trial).layer
            except Exception as error:
                why = f"the constructor raised {fitting.message_of(error)}"
                self._tried[_call_text(subject, plan)] = (0,), why
                return None
        if not callable(getattr(layer, "backward", None)):
            raise NotALayer(f"what `{subject.name}` makes, a {type(layer).__qualname__}, has no `backward`")
        return layer

    def _of_other_ranks(self, ways: Ways, group: list[TensorTerm], best: _Best) -> Found:
        """Made in the same way, and called with inputs of other ranks."""
        assert best.plan is not None
        found = Found([best.plan])
        for place, main in enumerate(group):
            rank = len(main.dims)
            if any(plan.rank == rank for plan in found.plans) or self._is_over:
                continue
            other = self._best(ways, ways.with_main(best.picks, place), ways.made_as_it_is, _MOST_OTHERS)
            if other.plan is not None and other.plan.rank == rank and _is_alike(other.plan, best.plan):
                found.plans.append(other.plan)
            elif other.refused is not None:
                found.refused.setdefault(rank, other.refused)
        found.plans.sort(key=lambda plan: plan.rank)
        for plan in found.plans:
            found.refused.pop(plan.rank, None)
        found.refused = dict(sorted(found.refused.items()))
        return found

    def _best_of_group(self, ways: Ways, count: int) -> _Best:
        """Of all shapes of the activations together; if none fits, of each by itself: what broadcasts comes far, and
        fits nothing."""
        best = self._best(ways, ways.start, frozenset(), _PATIENCE)
        for place in range(count):
            if best.fit <= fitting.NONE_FITS:
                other = self._best(ways, ways.with_main(ways.start, place), OF_ONE_MAIN, _PATIENCE)
                best = max(best, other, key=lambda each: each.fit)
        return best

    def _best(self, ways: Ways, start: Picks, fixed: frozenset[int], patience: int) -> _Best:
        best, since = _Best(), 0
        farthest: fitting.Progress = (-1,)
        order = farthest_first(ways, start, fixed)
        picks = next(order, None)
        while picks is not None and not best.is_enough and since < patience and not self._is_over:
            plan = ways.plan(picks)
            progress = self._try(best, plan.enlarged(self._times), picks) if plan is not None else None
            if progress is not None:
                since = 0 if progress > farthest else since + 1
                farthest = max(farthest, progress)
            try:
                picks = order.send(progress)
            except StopIteration:
                break
        return best

    def _try(self, best: _Best, plan: Plan, picks: Picks) -> fitting.Progress:
        """How far it came."""
        subject = self._subject
        tried = fitting.attempt(subject, Trial(plan, seed=self._seed))
        if tried.why is not None:
            text = _shape_text(plan)
            best.refused = best.refused or (text, tried.why)
            self._tried.setdefault(f"{_call_text(subject, plan)} on {text}", (tried.progress, tried.why))
            return tried.progress
        best.fitted += 1
        most = -1.0
        asking = replace(plan, requires_grad=True)
        # Autograd asks a Function inside of a module only for the gradients that somebody wants.
        both = (asking, plan) if self._subject.by_autograd else (plan, asking)
        for each in (plan,) if numpy_counts() else both:
            fit, shapes = fitting.fit_and_shapes(subject, Trial(each, seed=self._seed))
            is_part = 0 < fit < fitting.FITS and best.fit < fitting.FITS
            as_returned = _with_shapes(each, shapes) if is_part else None
            if as_returned is not None and fitting.runs(subject, Trial(as_returned, seed=self._seed)) is None:
                better = fitting.fit_and_shapes(subject, Trial(as_returned, seed=self._seed))[0]
                each, fit = (as_returned, better) if better > fit else (each, fit)
            most = max(most, fit)
            # Autograd calls `backward` only where something asks for it: what raises then says more.
            asked = (
                each is asking and fit == 0 and best.plan is plan and self._subject.has_gradient is not None
            )
            asked = asked and fitting.runs(self._subject, Trial(asking, seed=self._seed)) is None
            if fit > best.fit or asked:
                if self._subject.by_autograd and each.requires_grad:
                    left = fitting.left_without(subject, Trial(each, seed=self._seed))
                    each = replace(each, constants=left)
                best.plan, best.picks, best.fit, best.fitted = each, picks, fit, 0
        return (*tried.progress, int(1000 * most))

    def refusal(self) -> CannotCallError:
        """What was tried, the reason of what came farthest first, then what most have in common."""
        reasons = grouped((why, (progress, what)) for what, (progress, why) in self._tried.items())
        told = sorted(reasons, key=lambda why: (max(reasons[why])[0], len(reasons[why])), reverse=True)[:1]
        told += [why for why in sorted(reasons, key=lambda why: -len(reasons[why])) if why not in told]
        lines = [
            f"  {why}, with {reasons[why][0][1]}"
            + (f" and {len(reasons[why]) - 1} more" if reasons[why][1:] else "")
            for why in told[:_MOST_TOLD]
        ]
        name, count = self._subject.name, len(self._tried)
        what = (
            "the given inputs do not run" if self._given.inputs else "no inputs were found on which it runs"
        )
        return CannotCallError("\n".join([f"{name}: {what}; {count} were tried:", *lines]), HOW_INPUTS)


def _with_shapes(plan: Plan, shapes: dict[str, tuple[int, ...]]) -> Plan | None:
    """Called with inputs of the shapes that `backward` returns, as far as they are written in sizes of the activations."""
    sizes = Trial(plan).sizes
    named = {each.of(sizes): each for each in plan.first.dims if isinstance(each, Size)}
    inputs = dict(plan.inputs)
    for name, shape in shapes.items():
        if all(n == 1 for n in shape) or any(n not in named for n in shape if n != 1):
            return None
        inputs[name] = TensorTerm(tuple(1 if n == 1 else named[n] for n in shape))
    return replace(plan, inputs=tuple(inputs.items())) if shapes else None


def _is_alike(one: Plan, other: Plan) -> bool:
    """Whether each input is the same kind of thing: what was an array is no plain number for inputs of another rank."""

    def kinds(plan: Plan) -> list[str]:
        return [term.kind if isinstance(term, TensorTerm) else "" for _, term in plan.inputs]

    return kinds(one) == kinds(other)


def _call_text(subject: Subject, plan: Plan) -> str:
    return f"{subject.name}({Trial(plan).call})"


def _shape_text(plan: Plan) -> str:
    sizes = Trial(plan).sizes
    parts = []
    for name, term in plan.inputs:
        value = value_of(term, sizes)
        if isinstance(value, TensorTerm):
            kind = {"int": "integers ", "bool": "booleans ", "unit": "0 to 1 "}.get(value.kind, "")
            parts.append(f"{name} {kind}{value.dims}")
        else:
            parts.append(f"{name}={value!r}")
    return ", ".join(parts) or "no inputs"
