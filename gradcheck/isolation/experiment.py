"""The experiment: which variants are trained, on which seeds, and what their losses say of each component.

Imports no torch: the tasks are done by worker processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from gradcheck.isolation.records import Component, Cost, Isolation, Variant
from gradcheck.isolation.shares import shapley_values, subsets
from gradcheck.isolation.tasks import Outcome, Task
from gradcheck.options import SessionOptions

MOST_SHARED = 6  # components: 64 variants
Runner = Callable[[Sequence[Task]], Iterator[tuple[int, Outcome]]]


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
    """All trainings of one isolation. `outcomes` are those that are done, by the index of their task."""

    session: SessionOptions
    pass_index: int
    loss: str
    components: Sequence[Component]
    options: ExperimentOptions
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = [component.key for component in self.components]
        self._by_key = {component.key: component for component in self.components}
        self.repaired = wanted_variants(keys)
        self.tasks = [self._task(chosen, seed) for chosen in self.repaired for seed in self.seeds]
        # What substitution itself changes, where there is nothing to repair.
        self._control = range(0)
        if not keys:
            self._control = range(len(self.tasks), len(self.tasks) + len(self.seeds))
            self.tasks += [self._task(frozenset(), seed, all_gradients=True) for seed in self.seeds]

    @property
    def seeds(self) -> list[int]:
        return list(range(self.options.first_seed, self.options.first_seed + self.options.seeds))

    def _task(self, repaired: frozenset[str], seed: int, all_gradients: bool = False) -> Task:
        chosen = [component for component in self.components if component.key in repaired]
        return Task(
            self.session,
            self.pass_index,
            tuple(chain.from_iterable(component.edits for component in chosen)),
            tuple(chain.from_iterable(component.gradients for component in chosen)),
            seed,
            self.options.steps,
            self.options.smoothed_over,
            all_gradients,
        )

    def result(self) -> Isolation:
        """What is known so far."""
        found = Isolation(
            self.loss, self.options.steps, self.options.smoothed_over, self.seeds, list(self.components)
        )
        for number, chosen in enumerate(self.repaired):
            outcomes = self._outcomes(range(number * len(self.seeds), (number + 1) * len(self.seeds)))
            if outcomes:
                found.variants.append(self._variant(chosen, outcomes))
        found.finished = len(self.outcomes) == len(self.tasks)
        known = list(self.outcomes.values())
        found.draws = next((outcome.draws for outcome in known if outcome.draws), "")
        found.frozen = list(dict.fromkeys(chain.from_iterable(outcome.frozen for outcome in known)))
        found.followed = list(dict.fromkeys(chain.from_iterable(outcome.followed for outcome in known)))
        found.substitution_difference = self._substitution_difference()
        found.costs = costs(found)
        return found

    def _outcomes(self, indices: Iterable[int]) -> list[Outcome]:
        return [self.outcomes[index] for index in indices if index in self.outcomes]

    def _variant(self, chosen: frozenset[str], outcomes: Sequence[Outcome]) -> Variant:
        repaired = tuple(component.key for component in self.components if component.key in chosen)
        errors = [outcome.error for outcome in outcomes if outcome.error]
        if errors:
            return Variant(repaired, error=errors[0])
        curves = [outcome.curve for outcome in outcomes]
        length = min(len(curve) for curve in curves)
        mean = [sum(curve[i] for curve in curves) / len(curves) for i in range(length)]
        return Variant(
            repaired,
            [outcome.loss for outcome in outcomes],
            mean,
            [outcome.diverged_at for outcome in outcomes],
        )

    def _substitution_difference(self) -> float | None:
        """How far the smoothed losses move, relatively, when every gradient is replaced by the true one."""
        pairs = [
            (self.outcomes[i], self.outcomes[j])
            for i, j in zip(range(len(self.seeds)), self._control, strict=False)
            if i in self.outcomes and j in self.outcomes
        ]
        kept = [
            (a.loss, b.loss)
            for a, b in pairs
            if not (a.error or b.error) and a.loss == a.loss and b.loss == b.loss
        ]
        return max((abs(a - b) / max(abs(a), abs(b), 1e-300) for a, b in kept), default=None)


def wanted_variants(keys: Sequence[str]) -> list[frozenset[str]]:
    """As written; each alone; all but each; all: and, for few components, every subset. The most telling first, so
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


def costs(isolation: Isolation) -> list[Cost]:
    """The most costly first. A component whose variants did not all give a loss has no share."""
    losses = {frozenset(v.repaired): v.loss for v in isolation.variants if v.loss is not None}
    keys = [component.key for component in isolation.components]
    everything, nothing = frozenset(keys), frozenset[str]()
    shares: Mapping[str, float] = {}
    if keys and len(keys) <= MOST_SHARED and all(chosen in losses for chosen in subsets(keys)):
        shares = shapley_values(keys, losses.__getitem__)
    found = [
        Cost(
            key,
            alone=_gain(losses, nothing, frozenset([key])),
            last=_gain(losses, everything - {key}, everything),
            share=shares.get(key),
        )
        for key in keys
    ]
    return sorted(found, key=lambda cost: -_worth(cost))


def _gain(
    losses: Mapping[frozenset[str], float], before: frozenset[str], after: frozenset[str]
) -> float | None:
    return losses[before] - losses[after] if before in losses and after in losses else None


def _worth(cost: Cost) -> float:
    return next((gain for gain in (cost.share, cost.last, cost.alone) if gain is not None), float("-inf"))
