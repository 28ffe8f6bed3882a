"""Makes a failing trial as small as it goes, while the same fault shows and nothing raises."""

import time
from dataclasses import replace
from itertools import combinations

from gradcheck.layers.outcome import Key, Outcome, run_trial
from gradcheck.layers.subject import Subject
from gradcheck.layers.trial import Trial

_ORDER = "NTHWDMVKG"
_SEEDS = 3  # per shape: a relu of a single number is wrong for negative ones alone
_MOST_TRIALS = 300
_TIME_S = 30.0


class Search:
    """`best` is the smallest trial so far that shows the fault, `outcome` what it shows, `trials` how many were run."""

    def __init__(self, subject: Subject, key: Key, best: Trial, outcome: Outcome) -> None:
        self._subject, self._key, self._seed = subject, key, best.seed
        self._until = time.monotonic() + _TIME_S
        self._known: set[tuple[tuple[str, int], ...]] = set()
        self.best, self.outcome, self.trials = best, outcome, 0

    def lower(self, names: list[str]) -> None:
        """The smallest value of these sizes, one for all of them, that still shows the fault."""
        for value in range(1, max((self.best.sizes[name] for name in names), default=1)):
            candidate = self.best.with_sizes(**dict.fromkeys(names, value))
            tried = tuple(sorted(candidate.sizes.items()))
            if tried not in self._known and self._shows(candidate):
                return
            self._known.add(tried)

    def _shows(self, candidate: Trial) -> bool:
        for seed in range(self._seed, self._seed + _SEEDS):
            if self.trials >= _MOST_TRIALS or time.monotonic() > self._until:
                return False
            self.trials += 1
            attempt = replace(candidate, seed=seed)
            outcome = run_trial(self._subject, attempt)
            if self._key in outcome.faults:
                self.best, self.outcome = attempt, outcome
                return True
            if outcome.report is None:
                return False  # it does not run on such a shape, whatever the numbers
        return False


def shrink(subject: Subject, trial: Trial, outcome: Outcome, key: Key) -> Search:
    """Greedy: each size as small as it goes, one after the other, until none gets smaller."""
    search = Search(subject, key, trial, outcome)
    names = sorted(trial.plan.names, key=lambda name: (_ORDER.find(name) % 99, name))
    before = None
    while before != search.best:
        before = search.best
        for name in names:
            search.lower([name])
        # What shows where sizes are equal alone: those are made smaller together.
        sizes = search.best.sizes
        for size in sorted({sizes[name] for name in names}, reverse=True):
            search.lower([name for name in names if sizes[name] == size])
        for pair in combinations(sorted(names), 2):
            if search.best.sizes[pair[0]] == search.best.sizes[pair[1]]:
                search.lower([*pair])
    return search
