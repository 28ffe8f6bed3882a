"""Makes a failing trial as small as it goes, while the same fault shows and nothing raises."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gradcheck.layers.outcome import Key, Outcome, run_trial
from gradcheck.layers.subject import Subject
from gradcheck.layers.trial import Trial

_ORDER = "NTHWDMVKG"
_SEEDS = 3  # per shape: a relu of a single number is wrong for negative ones alone
_MOST_TRIALS = 300
_TIME_S = 30.0


@dataclass(frozen=True, slots=True)
class Shrunk:
    trial: Trial
    outcome: Outcome
    trials: int


def shrink(subject: Subject, trial: Trial, outcome: Outcome, key: Key) -> Shrunk:
    """Greedy: each size as small as it goes, one after the other, until none gets smaller."""
    until = time.monotonic() + _TIME_S
    best, shown, count = trial, outcome, 0
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(best):
            for seed in range(trial.seed, trial.seed + _SEEDS):
                if count >= _MOST_TRIALS or time.monotonic() > until:
                    return Shrunk(best, shown, count)
                count += 1
                attempt = replace(candidate, seed=seed)
                result = run_trial(subject, attempt)
                if key in result.faults:
                    best, shown, smaller = attempt, result, True
                    break
            if smaller:
                break
    return Shrunk(best, shown, count)


def _smaller(trial: Trial) -> Iterator[Trial]:
    names = sorted(trial.plan.names, key=lambda name: (_ORDER.find(name) % 99, name))
    sizes = trial.sizes
    for name in names:
        for value in range(1, sizes[name]):
            yield trial.with_sizes(**{name: value})
    # What shows where sizes are equal alone: those are made smaller together.
    for size in sorted({sizes[name] for name in names}, reverse=True):
        equal = [name for name in names if sizes[name] == size]
        for value in range(1, size) if len(equal) > 1 else ():
            yield trial.with_sizes(**dict.fromkeys(equal, value))
    pairs = [(a, b) for a in names for b in names if a < b and sizes[a] == sizes[b]]
    for pair in pairs:
        for value in range(1, sizes[pair[0]]):
            yield trial.with_sizes(**dict.fromkeys(pair, value))
