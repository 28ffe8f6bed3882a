"""Goes through edits, the cheapest first, and yields those that make the gradient right where they are tried."""

import ast
import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from gradcheck.diagnosis.attempts import Attempt, Outcome, operands
from gradcheck.diagnosis.clock import Clock
from gradcheck.diagnosis.mistakes.catalogue import single_edits
from gradcheck.diagnosis.mistakes.scaling import scaled_by, scaled_expressions
from gradcheck.diagnosis.mistakes.writing import Edit
from gradcheck.diagnosis.syntax import exchanged

Fitting = tuple[Attempt, Edit]

_FURTHER = 0.45  # cost of editing a helper rather than the line itself, per line further away
_FACTOR = 0.5  # a factor more is less likely than one that is wrong: `a`, not `a * n / n`, for `a * n`
_SOME_RELATION = 0.999  # residual of the best multiple above which an edit brought nothing
# How much nearer an edit has to come for each unit it costs more, to be gone on from first.
_WEIGHT_OF_COST = 0.2
_COEFFICIENT_STARTS = 200  # edits in which a coefficient is looked for as well
_PAIR_STARTS = 40  # single edits from which a second one is tried
_DEAREST_SECOND = 2.3  # cost up to which second edits are tried: about that of one more name


@dataclass(eq=False)
class Enumeration:
    """Of the edits of all `attempts` on one gradient, until the clock is over. `singles` comes before the others: it
    notes which edits came near."""

    attempts: list[Attempt]
    clock: Clock

    def __post_init__(self) -> None:
        self._near: list[tuple[float, int, Attempt, Edit]] = []
        self._seen: set[tuple[int, str]] = set()

    def singles(self) -> Iterator[Fitting]:
        """Single edits, and those that need a constant factor as well."""
        queue: list[tuple[float, int, Attempt, Edit]] = []
        order = 0

        def push(cost: float, attempt: Attempt, single: Edit) -> None:
            nonlocal order
            heapq.heappush(queue, (cost, order, attempt, single))
            order += 1

        for attempt in self.attempts:
            push(0.0, attempt, Edit(0.0, attempt.site.tree))  # right but for a factor?
        for rank, attempt in enumerate(self.attempts):
            for single in single_edits(attempt.site.tree, attempt.context):
                push(single.cost + _FURTHER * rank, attempt, single)
        while queue and not self.clock.is_over:
            cost, place, attempt, single = heapq.heappop(queue)
            outcome = self._tried(attempt, single)
            if outcome is None:
                continue
            if outcome.fits:
                yield attempt, single
            elif outcome.factor is not None:
                for scaled in scaled_by(single.tree, outcome.factor, attempt.context):
                    both = single.cost + scaled.cost + _FACTOR
                    push(cost + scaled.cost + _FACTOR, attempt, Edit(both, scaled.tree))
            elif outcome.residual < _SOME_RELATION:
                self._near.append((outcome.residual + _WEIGHT_OF_COST * cost, place, attempt, single))

    def coefficients(self) -> Iterator[Fitting]:
        """A wrong coefficient of one operand (2/n for 1/n in one of two terms): if the gradient is affine in the
        operand, two evaluations tell which multiple of it would be right."""
        as_they_stand = [(attempt, Edit(0.0, attempt.site.tree)) for attempt in self.attempts]
        for attempt, start in [*as_they_stand, *self._nearest(_COEFFICIENT_STARTS)]:
            for path, node in operands(start.tree):
                if self.clock.is_over:
                    return
                factor = attempt.coefficient(start.tree, path, node)
                if factor is None:
                    continue
                for scaled in sorted(
                    scaled_expressions(node, factor, attempt.context), key=lambda edit: edit.cost
                ):
                    both = Edit(start.cost + scaled.cost, exchanged(start.tree, path, scaled.tree))
                    if self._fits(attempt, both):
                        yield attempt, both

    def terms(self) -> Iterator[Fitting]:
        """A missing term."""
        for attempt in self.attempts:
            for with_term in attempt.with_missing_term(self.clock):
                if self._fits(attempt, with_term):
                    yield attempt, with_term

    def pairs(self) -> Iterator[Fitting]:
        """A second edit on top of the single ones that came nearest."""
        for attempt, first in self._nearest(_PAIR_STARTS):
            for second in single_edits(first.tree, attempt.context):
                if self.clock.is_over:
                    return
                if second.cost > _DEAREST_SECOND:
                    break
                if self._fits(attempt, second):
                    yield attempt, Edit(first.cost + second.cost, second.tree)

    def _nearest(self, most: int) -> list[Fitting]:
        found = sorted(self._near, key=lambda entry: entry[:2])[:most]
        return [(attempt, single) for _, _, attempt, single in found]

    def _fits(self, attempt: Attempt, single: Edit) -> bool:
        outcome = self._tried(attempt, single)
        return outcome is not None and outcome.fits

    def _tried(self, attempt: Attempt, single: Edit) -> Outcome | None:
        """None also for an edit that was found to fit before."""
        outcome = attempt.tried(single.tree)
        if outcome is not None and outcome.fits:
            key = (id(attempt), ast.dump(single.tree))
            if key in self._seen:
                return None
            self._seen.add(key)
        return outcome
