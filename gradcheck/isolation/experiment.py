"""The experiment: which variants are trained, on which seeds, and what their losses say of each component.

Imports no torch: the tasks are done by worker processes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations
from math import factorial

from gradcheck.isolation.records import (
    Component,
    Cost,
    Isolation,
    LayerCost,
    SwitchableLayer,
    Variant,
    spread_of,
)
from gradcheck.isolation.tasks import CURVE_POINTS, Outcome, Task

MOST_SHARED = 6  # components: 64 variants
_TINY = 1e-300
Losses = Mapping[frozenset[str], Mapping[int, float]]  # by what is repaired, by seed


@dataclass(frozen=True, slots=True)
class ExperimentOptions:
    seeds: int = 3
    steps: int = 1000
    first_seed: int = 1

    @property
    def smoothed_over(self) -> int:
        """The last tenth of the steps."""
        return max(1, self.steps // 10)


@dataclass
class Experiment:
    """All trainings of one isolation, each of the step that was `asked` for. `outcomes` are those that are done, by the
    index of their task; `layers` are switched off one at a time."""

    asked: Task
    components: Sequence[Component]
    options: ExperimentOptions
    layers: Sequence[SwitchableLayer] = ()
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        keys = [component.key for component in self.components]
        self.repaired = wanted_variants(keys)
        self.places = {chosen: self._add(chosen) for chosen in self.repaired}
        # What substitution itself changes, where there is nothing to repair.
        self._control = range(0) if keys else self._add(frozenset(), all_gradients=True)
        self._networks = self._layer_tasks() if self.layers else {}

    @property
    def seeds(self) -> list[int]:
        return list(range(self.options.first_seed, self.options.first_seed + self.options.seeds))

    def _layer_tasks(self) -> dict[tuple[str, int | None], range]:
        """True gradients throughout: with all layers, and without each of them, before and after the edits."""
        networks = {"as written": frozenset[str]()}
        edits = frozenset(component.key for component in self.components if component.edits)
        if edits:
            networks["repaired"] = edits
        return {
            (name, index): self._add(chosen, all_gradients=True, without=index)
            for name, chosen in networks.items()
            for index in (None, *(layer.index for layer in self.layers))
        }

    def _add(
        self, repaired: frozenset[str], all_gradients: bool = False, without: int | None = None
    ) -> range:
        chosen = [component for component in self.components if component.key in repaired]
        edits = tuple(chain.from_iterable(component.edits for component in chosen))
        replaced = () if all_gradients else tuple(chain.from_iterable(c.gradients for c in chosen))
        first = len(self.tasks)
        task = replace(
            self.asked, edits=edits, gradients=replaced, all_gradients=all_gradients, without=without
        )
        self.tasks += [replace(task, seed=seed) for seed in self.seeds]
        return range(first, len(self.tasks))

    # -- what is known so far --------------------------------------------------------------------------------------

    def result(self) -> Isolation:
        found = Isolation(
            pass_index=self.asked.pass_index,
            steps=self.options.steps,
            smoothed_over=self.options.smoothed_over,
            seeds=self.seeds,
            components=list(self.components),
            done=len(self.outcomes),
            wanted=len(self.tasks),
        )
        for chosen, places in self.places.items():
            outcomes = self._known(places)
            if outcomes:
                found.variants.append(self._variant(chosen, outcomes))
        found.costs = costs([c.key for c in self.components], _losses(found.variants))
        found.layers = list(self._layer_costs())
        if self._control:
            found.difference, found.first_difference = self._differences()
            found.first_steps = self.options.smoothed_over
        return found

    def _known(self, places: range) -> dict[int, Outcome]:
        """By seed."""
        pairs = zip(self.seeds, places, strict=True)
        return {seed: self.outcomes[place] for seed, place in pairs if place in self.outcomes}

    def _variant(self, chosen: frozenset[str], outcomes: Mapping[int, Outcome]) -> Variant:
        repaired = tuple(component.key for component in self.components if component.key in chosen)
        errors = [outcome.error for outcome in outcomes.values() if outcome.error]
        if errors:
            return Variant(repaired, list(outcomes), error=errors[0])
        curves = [outcome.curve for outcome in outcomes.values()]
        length = min(len(curve) for curve in curves)
        mean = [sum(curve[i] for curve in curves) / len(curves) for i in range(length)]
        losses = [outcome.loss for outcome in outcomes.values()]
        diverged = [outcome.diverged_at for outcome in outcomes.values()]
        return Variant(repaired, list(outcomes), losses, mean, diverged)

    def _layer_costs(self) -> Iterable[LayerCost]:
        for (network, index), places in self._networks.items():
            if index is None:
                continue
            layer = next(layer for layer in self.layers if layer.index == index)
            without, with_all = self._known(places), self._known(self._networks[network, None])
            if not without:
                continue
            cost = LayerCost(layer.number, layer.name, layer.location, network, list(without))
            cost.error = next((outcome.error for outcome in without.values() if outcome.error), "")
            if not cost.error:
                cost.loss, cost.spread = _mean({seed: outcome.loss for seed, outcome in without.items()})
                off, whole = _of(without), _of(with_all)
                cost.with_all, _ = _mean(whole)
                cost.saves, cost.saves_spread = _mean(_differences(off, whole))
            yield cost

    def _differences(self) -> tuple[float | None, float | None]:
        """How far the loss moves, relatively, when every gradient is replaced by the true one: at the end, and over
        the first tenth of the training."""
        written, control = self._known(self.places[frozenset()]), self._known(self._control)
        ends: list[tuple[float, float]] = []
        starts: list[tuple[float, float]] = []
        for seed in written.keys() & control.keys():
            a, b = written[seed], control[seed]
            if a.error or b.error:
                continue
            ends.append((a.loss, b.loss))
            first = max(1, min(CURVE_POINTS, self.options.steps) // 10)
            starts += zip(a.curve[:first], b.curve[:first], strict=True)
        return _furthest(ends), _furthest(starts)


def wanted_variants(keys: Sequence[str]) -> list[frozenset[str]]:
    """As written; each alone; all but each; all: and, for few components, every subset. The most informative first, so
    that an interrupted experiment says as much as it can."""
    everything = frozenset(keys)
    order = [
        frozenset(),
        everything,
        *(frozenset([key]) for key in keys),
        *(everything - {key} for key in keys),
    ]
    if len(keys) <= MOST_SHARED:
        order += subsets(keys)
    return list(dict.fromkeys(order))


def costs(keys: Sequence[str], losses: Losses) -> list[Cost]:
    """The most costly first. A component whose variants did not all give a loss has no share."""
    everything, nothing = frozenset(keys), frozenset[str]()
    shares: dict[int, dict[str, float]] = {}  # by seed
    if keys and len(keys) <= MOST_SHARED and all(chosen in losses for chosen in subsets(keys)):
        common = set.intersection(*(set(losses[chosen]) for chosen in subsets(keys)))
        for seed in common:
            shares[seed] = shapley_values(keys, lambda chosen, seed=seed: losses[chosen][seed])  # type: ignore[misc]
    found = []
    for key in keys:
        only = frozenset([key])
        alone = _mean(_differences(losses.get(nothing, {}), losses.get(only, {})))
        last = _mean(_differences(losses.get(everything - only, {}), losses.get(everything, {})))
        share = _mean({seed: values[key] for seed, values in shares.items()})
        found.append(Cost(key, *alone, *last, *share))
    return sorted(found, key=lambda cost: -(cost.worth or (float("-inf"), 0.0))[0])


def _losses(variants: Iterable[Variant]) -> Losses:
    """Of the variants that reached the end on every seed they were trained on: a gain over only those seeds on which
    nothing diverged would be too large."""
    return {
        frozenset(variant.repaired): dict(zip(variant.seeds, variant.losses, strict=True))
        for variant in variants
        if variant.losses and not variant.diverged
    }


def _of(outcomes: Mapping[int, Outcome]) -> dict[int, float]:
    if any(outcome.error or outcome.diverged_at is not None for outcome in outcomes.values()):
        return {}
    return {seed: outcome.loss for seed, outcome in outcomes.items()}


def _differences(before: Mapping[int, float], after: Mapping[int, float]) -> dict[int, float]:
    return {seed: before[seed] - after[seed] for seed in before if seed in after}


def _mean(by_seed: Mapping[int, float]) -> tuple[float | None, float | None]:
    """And the spread."""
    kept = list(by_seed.values())
    if not kept or any(number != number for number in kept):
        return None, None
    return sum(kept) / len(kept), spread_of(kept)


def _furthest(pairs: Iterable[tuple[float, float]]) -> float | None:
    apart = [abs(a - b) / max(abs(a), abs(b), _TINY) for a, b in pairs if a == a and b == b]
    return max(apart, default=None)


def subsets(keys: Sequence[str]) -> list[frozenset[str]]:
    """All of them, the empty one first, by size and then in the order of `keys`."""
    return [frozenset(chosen) for size in range(len(keys) + 1) for chosen in combinations(keys, size)]


def shapley_values(keys: Sequence[str], loss: Callable[[frozenset[str]], float]) -> dict[str, float]:
    """For each key the mean, over all orders of repairing, of the loss it saves when its turn comes. They add up to
    `loss(nothing) - loss(everything)`.

    L. S. Shapley, A value for n-person games, 1953: sum over S of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)).
    """
    count = len(keys)
    values = {}
    for key in keys:
        others = [other for other in keys if other != key]
        values[key] = sum(
            factorial(len(chosen))
            * factorial(count - len(chosen) - 1)
            / factorial(count)
            * (loss(chosen) - loss(chosen | {key}))
            for chosen in subsets(others)
        )
    return values
