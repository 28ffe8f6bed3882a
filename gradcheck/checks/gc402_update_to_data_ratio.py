"""GC402 update-to-data-ratio: a step changes the weights far less than is healthy, or so much that it raises the loss.

## What it does

Measures how much a training step changes each parameter: the standard deviation of the change over the
standard deviation of the parameter, as log10. About -3 is healthy. The network is judged by the median of
its weight matrices (two axes, not all one number), of which at least two are needed.

- Far too small: at the first step, and at every later one that was recorded, the median is below
  `GC402.smallest-ratio` and not even the fastest matrix reaches -3; the learning rate is a number that the
  source never makes larger; and the same step with the learning rate that would bring the median to -3
  lowers the loss of the minibatch more when it is replayed.
- Too large: the median is above `GC402.largest-ratio`, and the step raises the loss of its own minibatch to
  `GC402.loss-rise` times its value, while a smaller step along the same gradient lowers it.

The location is the update; the finding names the learning rate as it is written there.

## Why is this bad?

With steps of a millionth of the weights, a hundred thousand of them are needed for what a thousand could do:
the loss falls slowly, and the network looks as if it could not learn more. With steps that overshoot, the
loss oscillates or diverges.

## Example

```python
learning_rate = 0.0001
...
for p, grad in zip(parameters, grads):
    p -= learning_rate * grad           # log10 of update / data: -5.0
```

## Use instead

```python
learning_rate = 0.01
...
for p, grad in zip(parameters, grads):
    p -= learning_rate * grad           # -3.0
```

## How it is measured

The change is what the step really did to the parameter: the recorded step is replayed in float64 with all
its updates (in place, rebound, through `.data`, momentum, Adam, clipping, lists zipped together), and the
previous value is subtracted. The learning rate is found by doubling: the step is replayed once more for
every number in its updates, and if a parameter's change doubles with a number, that number is its learning
rate. In steps with momentum after the first one, or with a clamp, there may be none.

The ratio alone is no evidence. Small problems that are fitted with all their data at once take steps of a
tenth of the weights or more, rightly; very small initial weights have large ratios at first, and a last
layer that is initialised a hundred times smaller, as it should be, gives all others gradients that are a
hundred times smaller at first (a median of -4.5 with a learning rate of 0.1 in the classic character model,
while its last layer is at -0.7). This is why "too small" depends on the fastest matrix as well as on the
median, and why both findings depend on what the step does to the loss. A warm-up, or any learning rate that
is computed, is never reported as too small. A step outside a training loop is not judged.

## References

- A. Karpathy, Neural Networks: Zero to Hero, Building makemore Part 3: Activations & Gradients, BatchNorm,
  https://www.youtube.com/watch?v=P6sfmUTpUmc
- CS231n, Neural Networks Part 3, 'Ratio of weights:updates', https://cs231n.github.io/neural-networks-3/
"""

import math
from collections.abc import Iterator
from typing import Any

from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.base.paths import picked
from gradcheck.base.thresholds import Thresholds
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.checks.wording import code, place
from gradcheck.health.updates.records import LearningRate, ParameterRecord, StepRecord
from gradcheck.program.location import Location

# A single matrix is a linear model: how far it has to go depends on its data, and not on its own spread.
_FEWEST_WEIGHTS = 2
_HEALTHY = -3.0


def check(evidence: Evidence) -> Iterator[Finding]:
    for steps in _trainings(evidence):
        small = _too_small(steps, evidence.thresholds)
        large = None if small is not None else _too_large(steps, evidence.thresholds)
        step = small or large
        if step is None:
            continue
        location = _location(step)
        if location is not None:
            yield _finding(location, step, steps, is_small=step is small)


def looked_at(evidence: Evidence) -> Looked:
    health = evidence.health.updates
    trainings = _trainings(evidence)
    if not trainings:
        moved = any(step.trains for step in health.steps)
        reason = (
            "fewer than two weight matrices are updated" if moved else "no step updates a parameter visibly"
        )
        if moved and all(step.iteration is None for step in health.steps):
            reason = "the step is not in a training loop"
        return Looked(why_not=health.absent or reason)
    steps = [step for training in trainings for step in training]
    medians = ", ".join(f"{step.median_ratio:.1f}" for step in steps if step.median_ratio is not None)
    weights = max(len(step.weights) for step in steps)
    return Looked(
        f"{weights} weight matrices at {numbers.count(len(steps), 'step')}, log10 of update / data {medians}"
    )


def _trainings(evidence: Evidence) -> list[list[StepRecord]]:
    """The steps of each training loop, in their order."""
    steps = evidence.health.updates.steps
    used = [s for s in steps if s.iteration is not None and len(s.weights) >= _FEWEST_WEIGHTS]
    return list(grouped((step.loss_location, step) for step in used).values())


def _too_small(steps: list[StepRecord], thresholds: Thresholds) -> StepRecord | None:
    """The step with the largest updates, if even those are far too small.

    A network that has learned has small gradients, so the first step has to be among them. A small initial last layer
    keeps the gradients of all others small at first, so the fastest weights count as well. A learning rate that
    grows over the first steps is small at the first of them on purpose, so it must be a number which the source never
    makes larger. And the larger step that is recommended must be seen to lower the loss more.
    """
    growths = [_growth(step) for step in steps]
    if steps[0].iteration != 0 or None in growths:
        return None
    at_most = {id(s): math.log10(growth or 1.0) for s, growth in zip(steps, growths, strict=True)}
    largest = max(steps, key=lambda step: (step.median_ratio or 0.0) + at_most[id(step)])
    for step in steps:
        ratios = [weights.update_ratio or 0.0 for weights in step.weights]
        if (step.median_ratio or 0.0) + at_most[id(step)] >= thresholds["GC402.smallest-ratio"]:
            return None
        if max(ratios) + at_most[id(step)] >= _HEALTHY:
            return None
    return largest if _helps_more(largest) else None


def _growth(step: StepRecord) -> float | None:
    """How many times larger than in this step the source ever makes a learning rate; None if that is not known."""
    growth = 1.0
    for weights in step.weights:
        rate = weights.learning_rate
        if rate is None or rate.largest is None:
            return None
        growth = max(growth, rate.largest / rate.value)
    return growth


def _helps_more(step: StepRecord) -> bool:
    after, at_goal = step.loss_after, step.loss_at_goal
    if step.loss_before is None or after is None or at_goal is None or not step.minimised:
        return False
    return math.isfinite(at_goal) and at_goal < after


def _too_large(steps: list[StepRecord], thresholds: Thresholds) -> StepRecord | None:
    """The first step that is large and raises the loss it was computed from, where a smaller one lowers it. A wrong
    gradient raises it as well; then the size of the step is not the cause."""
    for step in steps:
        median, before, after, at_goal = (
            step.median_ratio, step.loss_before, step.loss_after, step.loss_at_goal,
        )  # fmt: skip
        if median is None or before is None or after is None or at_goal is None:
            continue
        if not step.minimised or step.wrong_gradients or median <= thresholds["GC402.largest-ratio"]:
            continue
        rises = not math.isfinite(after) or after > thresholds["GC402.loss-rise"] * abs(before)
        if rises and at_goal < before:
            return step
    return None


# -- words -----------------------------------------------------------------------------------------------------------


def _finding(location: Location, step: StepRecord, steps: list[StepRecord], is_small: bool) -> Finding:
    rate, median = _common_rate(step), step.median_ratio
    assert median is not None
    named = "the update"
    if rate is not None:
        is_number = _is_number(rate.text)
        named = f"the learning rate {rate.text}" if is_number else f"{code(rate.text)} = {rate.value:g}"
    far = abs(median - _HEALTHY)
    size = "far too small" if is_small else "too large"
    change = _times(10**far)
    message = f"{named} is {size}: a step changes the weights by 10^{median:.1f} of their standard deviation"
    if not is_small:
        message += " and raises the loss"
    return RULE.finding(
        location=location,
        message=message,
        label=f"changes the weights {change} {'less' if is_small else 'more'} than is healthy",
        expected="log10 of update / data about -3, in the median of the weight matrices",
        found=f"{median:.2f} {_extent(step.weights)}",
        notes=list(_notes(location, step, steps, rate)),
        helps=list(_helps(step, rate, is_small)),
        evidence=_evidence(step, steps, rate),
    )


def _extent(weights: list[ParameterRecord]) -> str:
    ordered = sorted(weights, key=lambda p: p.update_ratio or 0.0)
    low, high = ordered[0], ordered[-1]
    return (
        f"over {len(weights)} weight matrices, from {low.update_ratio:.2f} ({code(low.name)}) to "
        f"{high.update_ratio:.2f} ({code(high.name)})"
    )


def _notes(
    location: Location, step: StepRecord, steps: list[StepRecord], rate: LearningRate | None
) -> Iterator[str]:
    before, after = step.loss_before, step.loss_after
    if before is not None and after is not None:
        first, second = numbers.distinct(before, after, 4)
        yield f"this step takes the loss of its own minibatch from {first} to {second}"
    if rate is not None and rate.location is not None and rate.location.line != location.line:
        yield f"{code(rate.text)} is set to {rate.value:g} in {place(rate.location, location)}"
    others = [s for s in steps if s is not step and s.median_ratio is not None]
    if others:
        others_shown = ", ".join(f"{s.median_ratio:.2f} at iteration {s.iteration}" for s in others)
        yield f"iteration {step.iteration} is judged; {others_shown}"
    if step.wrong_gradients:
        yield "some of the gradients are wrong too: fix those first; this ratio depends on them"


def _helps(step: StepRecord, rate: LearningRate | None, is_small: bool) -> Iterator[str]:
    factor, at_goal = step.goal_factor, step.loss_at_goal
    if factor is None:
        return
    effect = (
        f"; this step would then take the loss to {numbers.value(at_goal, 4)}" if at_goal is not None else ""
    )
    change = f"{_times(factor)} as large" if is_small else f"{_times(1 / factor)} smaller"
    if rate is None:
        yield f"updates {change} would bring the ratio to -3{effect}"
        return
    goal = numbers.value(rate.value * factor, 2)
    name = "a learning rate" if _is_number(rate.text) else f"a {code(rate.text)}"
    yield f"{name} of about {goal}, {change}, would bring the ratio to -3{effect}"


def _evidence(step: StepRecord, steps: list[StepRecord], rate: LearningRate | None) -> dict[str, Any]:
    factor = step.goal_factor
    return picked(
        step,
        "iteration median_log10=median_ratio loss_before loss_after loss_after_recommended=loss_at_goal",
        passes=[s.pass_index for s in steps],
        ratios_log10={p.name: p.update_ratio for p in step.weights},
        medians_log10={str(s.iteration): s.median_ratio for s in steps},
        learning_rate=rate.value if rate is not None else None,
        recommended_learning_rate=rate.value * factor if rate is not None and factor is not None else None,
        factor=factor,
    )


def _location(step: StepRecord) -> Location | None:
    """The update of the median weights: all of them, in most programs."""
    ordered = sorted(step.weights, key=lambda p: p.update_ratio or 0.0)
    return ordered[len(ordered) // 2].location


def _common_rate(step: StepRecord) -> LearningRate | None:
    """The learning rate of all the weights, if they have the same."""
    rates = {weights.learning_rate for weights in step.weights}
    return rates.pop() if len(rates) == 1 else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _times(factor: float) -> str:
    return f"{numbers.value(factor, 2)} times"


RULE = Rule(__name__, __doc__, Severity.WARNING, check, looked_at=looked_at)
