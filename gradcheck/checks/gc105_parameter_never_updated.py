"""GC105 parameter-never-updated: a parameter has a gradient that never moves it, while other parameters move by theirs.

## What it does

Finds a parameter whose gradient is computed by hand and never reaches it, in a step in which other
parameters are moved by their gradients: it does not move at all (it is missing in the list, or `zip`
ended early), or it is moved only by something else (weight decay without the gradient).

The location is the gradient, or the update if there is one. It is a warning, because only the author knows
that a parameter is not frozen on purpose. Inputs and initial states have gradients that are never applied; a
value is considered a parameter only if all samples of a batch share it, or if it is named like one that
moves.

## Why is this bad?

One part of the network keeps its random initial values. Nothing raises and the loss falls, but a bias that
stays zero, or a layer that stays random, costs accuracy that no amount of training recovers.

## Example

```python
for p, g in zip([W1, b1, W2, b2], [dW1, db1, dW2]):     # zip ends with the shorter list
    p -= lr * g
```

## Use instead

```python
for p, g in zip([W1, b1, W2, b2], [dW1, db1, dW2, db2], strict=True):
    p -= lr * g
```

## How it is measured

From the recorded operations of one training step: no operation changes the parameter, or gives its name
to something computed from it, or those that do read nothing that was computed from a manual gradient.
Where the gradient leaves what is recorded (through Python numbers, NumPy, an optimiser's `.grad`), where
the update loop visited the parameter and skipped it, or where any line of the program changes it at another
time, nothing is reported.

## References

- Python, zip() and its strict argument, https://docs.python.org/3/library/functions.html#zip
- I. Goodfellow, Y. Bengio and A. Courville, Deep Learning, MIT Press 2016, chapter 8,
  https://www.deeplearningbook.org/contents/optimization.html
"""

from collections.abc import Iterator

from gradcheck.base.groups import grouped
from gradcheck.base.paths import picked
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import code, listing, place
from gradcheck.judge.step.records import Movement, ParameterUpdate
from gradcheck.judge.verdict import PassResult, Problem
from gradcheck.program.location import Location

_BY_GRADIENTS = (Movement.DESCENDS, Movement.ASCENDS, Movement.ANOTHERS)


def check(evidence: Evidence) -> Iterator[Finding]:
    # Not moved in the first step may mean moved in the second (every other step): one step that does is enough.
    moved = {
        update.parameter
        for step in evidence.passes
        for update in step.flow.updates
        if update.movement in _BY_GRADIENTS
    }
    # A gradient that was never summed over the batch changes the shape of its parameter: that is reported instead.
    unsummed = {
        row.location for step in evidence.passes for row in step.gradients if row.problem is Problem.SHAPE
    }
    unmoved = (
        ((update.location or update.gradient_location, update.parameter), (step, update))
        for step in evidence.passes
        for update in step.flow.updates
        if update.movement in (Movement.STILL, Movement.WITHOUT) and update.parameter not in moved
        if update.gradient_location not in unsummed
    )
    for (location, _), group in grouped(unmoved).items():
        finding = None if location is None else _finding(location, *group[0])
        if finding is not None:
            yield finding


def _finding(location: Location, step: PassResult, update: ParameterUpdate) -> Finding | None:
    siblings = [u for u in step.flow.updates if u.movement in _BY_GRADIENTS and u.location is not None]
    if not siblings:
        return None
    parameter, gradient = code(update.parameter), code(update.gradient)
    if update.movement is Movement.STILL:
        message = f"{parameter} is never updated: {gradient} is computed and not applied"
        label = f"the gradient of {parameter}, which no update reads"
    else:
        message = f"{parameter} is updated without its gradient {gradient}"
        label = f"moves {parameter}, but {gradient} does not contribute"
    places = list(dict.fromkeys(place(u.location, location) for u in siblings if u.location is not None))
    where = f"in {places[0]}" if len(places) == 1 else f"the last of them in {places[-1]}"
    verb = "moves by its gradient" if len(siblings) == 1 else "move by their gradients"
    notes = [f"{listing([u.parameter for u in siblings])} {verb}, {where}"]
    if update.movement is Movement.WITHOUT and update.gradient_location is not None:
        notes.append(f"{gradient} is computed in {place(update.gradient_location, location)}")
    return RULE.finding(
        location=location,
        message=message,
        label=label,
        notes=notes,
        helps=[f"if {parameter} is frozen on purpose, {gradient} need not be computed"]
        if update.movement is Movement.STILL
        else [],
        evidence=picked(
            update,
            "parameter gradient movement=movement.value",
            siblings=[u.parameter for u in siblings],
            passes=[step.index],
        ),
    )


RULE = Rule(__name__, __doc__, Severity.WARNING, check, outside_gradients=True)
