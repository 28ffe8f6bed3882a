"""Finds out how a layer is made and called: what runs decides, and what `backward` returns."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gradcheck.base.groups import grouped
from gradcheck.layers.calling import as_given, called, inputs_of, mains_for
from gradcheck.layers.fitting import FITS, fit_of, message_of, runs
from gradcheck.layers.fused import GivesGradients
from gradcheck.layers.making import CannotCallError, Given, ways_to_make
from gradcheck.layers.sizes import TensorTerm, value_of
from gradcheck.layers.subject import NotALayer, Subject
from gradcheck.layers.trial import Plan, Trial, build, forward_of, own_random_numbers

_MOST_FITTED = 12  # ways that run, of which the one that fits best is taken
_MOST_MADE = 8  # ways to make it that are looked at, once one of them runs
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
    fit: int = -1  # how well the best of them fits


def discover(subject: Subject, given: Given, seed: int) -> Found:
    """Raises CannotCallError."""
    search = _Search(subject, given, seed)
    for of_one in (False, True):  # a batch first: most layers run on a single row too, by broadcasting
        best: Found | None = None
        for number, plan in enumerate(ways_to_make(subject, given)):
            found = search.with_inputs(plan, of_one)
            if found.plans and (best is None or found.fit > best.fit):
                best = found
            if search.is_over or (best is not None and (best.fit == FITS or number >= _MOST_MADE)):
                break
        if best is not None:
            return best
    raise search.refusal()


class _Search:
    def __init__(self, subject: Subject, given: Given, seed: int) -> None:
        self._subject, self._given, self._seed = subject, given, seed
        self._until = time.monotonic() + _TIME_S
        self._tried: dict[str, str] = {}  # how it was called, and why that did not run

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._until

    def with_inputs(self, made: Plan, of_one: bool) -> Found:
        subject, found = self._subject, Found()
        with own_random_numbers(self._seed):
            try:
                layer = build(subject, Trial(made, jitter=False, seed=self._seed)).layer
            except Exception as error:
                self._tried[_call_text(subject, made)] = f"the constructor raised {message_of(error)}"
                return found
        if not callable(getattr(layer, "backward", None)):
            raise NotALayer(f"what `{subject.name}` makes, a {type(layer).__qualname__}, has no `backward`")
        function = subject.forward or forward_of(layer)
        parameters = inputs_of(function, isinstance(layer, GivesGradients))
        if self._given.inputs:
            best, found.fit, _ = self._best(as_given(made, self._given, parameters, function))
            found.plans = [best] if best is not None else []
            return found
        ranks: set[int] = set()
        for group in mains_for(parameters, self._given, of_one):
            ranks = {len(main.dims) for main in group}
            for main in group:
                if any(plan.rank == len(main.dims) for plan in found.plans):
                    continue
                ways = called(made, parameters, main, function)
                best, fit, refused = self._best(itertools.islice(ways, _MOST_OTHERS if found.plans else None))
                if best is not None:
                    found.plans.append(best)
                    found.fit = max(found.fit, fit)
                elif refused is not None:
                    found.refused.setdefault(len(main.dims), refused)
            if found.plans:
                break
        found.plans.sort(key=lambda plan: plan.rank)
        missing = ranks - {plan.rank for plan in found.plans}
        found.refused = {rank: why for rank, why in sorted(found.refused.items()) if rank in missing}
        return found

    def _best(self, ways: Iterable[Plan]) -> tuple[Plan | None, int, tuple[str, str] | None]:
        """The way that fits best, the first of equal ones, and how well; and the first that does not run, with the reason."""
        best: Plan | None = None
        refused: tuple[str, str] | None = None
        fitted, most = 0, -1
        for plan in ways:
            why = runs(self._subject, Trial(plan, seed=self._seed))
            if why is not None:
                text = _shape_text(plan)
                refused = refused or (text, why)
                if all(t.kind != "unit" for _, t in plan.inputs if isinstance(t, TensorTerm)):
                    self._tried.setdefault(f"{_call_text(self._subject, plan)} on {text}", why)
            for each in (plan, replace(plan, requires_grad=True)) if why is None else ():
                fits = fit_of(self._subject, Trial(each, seed=self._seed))
                if fits > most:
                    best, most = each, fits
            fitted += why is None
            if most == FITS or fitted == _MOST_FITTED or self.is_over:
                break
        return best, most, refused

    def refusal(self) -> CannotCallError:
        """What was tried, the reason that most ways have in common first."""
        reasons = grouped((why, what) for what, why in self._tried.items())
        common = sorted(reasons, key=lambda why: -len(reasons[why]))
        lines = [
            f"  {why}, with {reasons[why][0]}"
            + (f" and {len(reasons[why]) - 1} more" if reasons[why][1:] else "")
            for why in common[:_MOST_TOLD]
        ]
        name, count = self._subject.name, len(self._tried)
        what = (
            "the given inputs do not run" if self._given.inputs else "no inputs were found on which it runs"
        )
        return CannotCallError("\n".join([f"{name}: {what}; {count} were tried:", *lines]), HOW_INPUTS)


def _call_text(subject: Subject, plan: Plan) -> str:
    named = [f"{name}={value!r}" for name, value in Trial(plan).arguments.items()]
    return f"{subject.name}({', '.join([*map(repr, plan.more), *named])})"


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
