"""The ways to make and call a layer, as picks: one number for each choice there is, the likeliest being 0."""

import heapq
import inspect
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

from gradcheck.layers.fitting import Progress
from gradcheck.layers.making import Given, likeliest_first, making
from gradcheck.layers.sizes import Size, TensorTerm, Term
from gradcheck.layers.subject import Subject
from gradcheck.layers.trial import Plan
from gradcheck.layers.usage import Use, use_of
from gradcheck.layers.wanted import has_state, input_options, key_options, keys_of, role_of

Picks = tuple[int, ...]
# The places of the first choices; then the constructor's arguments, and the inputs.
_GATES, _MAIN, _KIND = range(3)
OF_ONE_MAIN = frozenset({_MAIN})
_FAR = (2, 3, 4)  # how much less likely another pick of those is
_MOST_INPUTS = 400  # per shape of the activations
_EVERY = 3  # so often the likeliest way is tried, however far others came


class Ways:
    def __init__(
        self,
        subject: Subject,
        given: Given,
        mains: list[TensorTerm],
        parameters: list[inspect.Parameter],
        function: Callable[..., Any],
    ) -> None:
        self._mains, self._parameters = mains, parameters
        self._keys = [keys_of(each, function) for each in parameters]
        # What is chosen for: each parameter, or each key of one that is a dict.
        self._slots = [
            (place, key)
            for place, keys in enumerate(self._keys)
            for key in ([None] if keys is None else keys)
        ]
        self._words: list[list[Term]] = [[*subject.words.get(each.name, ())] for each in parameters]
        roles = [role_of(each.name) for each in parameters]
        # What a target is compared with, whatever it is called: `(p, y)`.
        compared = "" if "target" in roles and "main" not in roles else None
        self._main_at = 0 if len(roles) == 1 else roles.index(compared) if compared in roles else None
        self._uses = [use_of(each.name, function, subject.has_gradient) for each in parameters]
        made = making(subject, given)
        held = any(isinstance(term, TensorTerm) for terms in made.options for term in terms)
        several = held or has_state(parameters)
        self._gates = (1, 4, 3) if several else (1,)
        self._makings = [made, *(making(subject, given, gates) for gates in self._gates[1:])]
        # A logarithm needs its argument to be positive.
        floats = ("unit", "float") if Use.SHARE in self._uses else ("float", "unit")
        self._kinds = floats if mains and mains[0].kind == "float" else ("int",)
        self._known: dict[Picks, list[list[Term]]] = {}
        self.start: Picks = (0,) * (3 + len(made.options) + len(self._slots))
        self.made_as_it_is = frozenset({_GATES, _MAIN, *range(3, 3 + len(made.options))})

    def with_main(self, picks: Picks, place: int) -> Picks:
        """The same layer, called with other activations."""
        made = picks[: 3 + len(self._makings[0].options)]
        return (made[_GATES], place, 0, *made[3:], *[0] * len(self._slots))

    def plan(self, picks: Picks) -> Plan | None:
        """None where there is no such way."""
        chosen = self._makings[picks[_GATES]]
        options = [*chosen.options, *self._inputs(picks)]
        if any(pick >= len(each) for pick, each in zip(picks[3:], options, strict=True)):
            return None
        terms = [each[pick] for pick, each in zip(picks[3:], options, strict=True)]
        made, inputs = terms[: len(chosen.options)], terms[len(chosen.options) :]
        if picks[_KIND] and self._main(picks) not in inputs:
            return None
        plan = chosen.plan(made)
        return plan and replace(plan, inputs=self._named(inputs))

    def _named(self, terms: Sequence[Term]) -> tuple[tuple[str, Term], ...]:
        """A dict holds those that have something to choose from."""
        found: dict[str, Term] = {p.name: {} for p in self._parameters}
        for (place, key), term in zip(self._slots, terms, strict=True):
            name = self._parameters[place].name
            if key is None:
                found[name] = term
            elif term is not None:
                found[name][key] = term
        return tuple(found.items())

    def inputs(self, may_be: Callable[[Term], bool]) -> Iterator[tuple[tuple[str, Term], ...]]:
        """Of all shapes of the activations, the likeliest of each first."""
        for main, kind, gates in itertools.product(
            *map(range, (len(self._mains), len(self._kinds), len(self._gates)))
        ):
            picks = gates, main, kind
            for terms in itertools.islice(likeliest_first(self._inputs(picks), may_be), _MOST_INPUTS):
                if not kind or self._main(picks) in terms:
                    yield self._named(terms)

    def counts(self, picks: Picks) -> list[int]:
        made = [len(each) for each in self._makings[picks[_GATES]].options]
        first = [len(self._gates), len(self._mains), len(self._kinds)]
        return [*first, *made, *(len(each) for each in self._inputs(picks))]

    def _main(self, picks: Picks) -> TensorTerm:
        return replace(self._mains[picks[_MAIN]], kind=self._kinds[picks[_KIND]])

    def _inputs(self, picks: Picks) -> list[list[Term]]:
        known = self._known.get(picks[:3])
        if known is None:
            main, main_at = self._main(picks), self._main_at
            gates = self._gates[picks[_GATES]]
            out = Size("M", gates)
            known = self._known[picks[:3]] = []
            for place, key in self._slots:
                parameter, keys = self._parameters[place], self._keys[place]
                if key is not None and keys is not None:
                    known.append(key_options(key, keys[key], main, out) or [None])
                    continue
                options = input_options(parameter, main, place == main_at, out, not place, self._uses[place])
                known.append(self._words[place] or options)
        return known


def farthest_first(
    ways: Ways, start: Picks, fixed: frozenset[int]
) -> Generator[Picks, Progress | None, None]:
    """Each way once: those that change one choice of the way that came farthest first, and now and then the likeliest of
    all. It is sent how far the last one came."""
    counts = ways.counts(start)
    options = [[start[n]] if n in fixed else list(range(count)) for n, count in enumerate(counts)]
    # Of each shape of the activations in turn.
    plain = _in_turn(
        [likeliest_first([*options[:_MAIN], [n], *options[_MAIN + 1 :]]) for n in options[_MAIN]]
    )
    order = itertools.count(1)
    # How far the way came that is changed, how many choices were changed since one came farther, how likely it is.
    queue: list[tuple[Progress, int, int, int, Picks]] = [((), 0, 0, 0, start)]
    seen: set[Picks] = set()
    for turn in itertools.count(1):
        before: Progress = ()
        changed = 0
        if turn % _EVERY == 0 or not queue:
            picks = next((each for each in plain if each not in seen), None)
            if picks is None and not queue:
                return
        else:
            before, changed, *_, picks = heapq.heappop(queue)
        if picks is None or picks in seen:
            continue
        seen.add(picks)
        progress = yield picks
        if progress is None:
            continue
        key = tuple(-step for step in progress)
        changed = changed + 1 if key == before else 1
        for place, count in enumerate(ways.counts(picks)):
            for pick in range(count) if place not in fixed else ():
                other = (*picks[:place], pick, *picks[place + 1 :])
                if other not in seen:
                    unlikely = sum(a * b for a, b in itertools.zip_longest(other, _FAR, fillvalue=1))
                    heapq.heappush(queue, (key, changed, unlikely, next(order), other))


def _in_turn(orders: list[Iterator[Any]]) -> Iterator[Any]:
    for turn in itertools.zip_longest(*orders):
        yield from (each for each in turn if each is not None)
