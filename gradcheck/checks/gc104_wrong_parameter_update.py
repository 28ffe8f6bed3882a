"""GC104 wrong-parameter-update: a parameter is updated with another parameter's gradient, uphill, or not from its old value.

## What it does

Follows every manual gradient into the parameter that it moves, through learning rates, momentum, Adam's
moments, clipping and lists, and reports an update that

- moves a parameter along the gradient of another one of the same shape: `W1 -= lr * dW2`, or two lists
  zipped in different orders;
- moves a parameter uphill, while the others go downhill or the loss is of a form that is always minimised;
- gives its name to the step alone (`b =- lr * db`), or to a value that the old one enters with a minus sign
  (`W = lr * dW - W`);
- computes the new value and keeps it in a loop variable only (`for p, g in zip(...): p = p - lr * g`), so
  that the parameter stays as it was.

GC101 reports gradients that are wrong themselves. Here the gradients are right and used in the wrong
place, so the location is the update.

## Why is this bad?

Equal shapes are common (every layer of the same width, every bias and gain), so nothing raises. A
parameter that follows another one's gradient takes a random walk, and one that goes uphill undoes what
the others learn; the loss may still fall, because the rest of the network compensates.

## Example

```python
params = [W1, b1, W2, b2]
grads = [dW2, db2, dW1, db1]        # collected from the output backwards
for p, g in zip(params, grads):
    p -= lr * g
```

## Use instead

```python
params = [W1, b1, W2, b2]
grads = [dW1, db1, dW2, db2]
for p, g in zip(params, grads):
    p -= lr * g
```

## How it is measured

The recorded operations say which gradients a step was computed from; names are used only to rule out false
alarms. The contribution of the gradients is measured: the recorded step is replayed in float64 as it was and
with the gradients negated, and half the difference of the two moves is the contribution of the gradients.
What both replays share (weight decay, an average) is not. The sign is that of the cosine of this part with
the parameter's own gradient; a program that keeps all of its gradients negated (`error = target -
output`) and adds them goes downhill.

Whether a new value goes on from the old one is measured as well: the update is replayed with the gradients
held and the old value moved. A step leaves that move as it is, or shrinks it.

Going uphill with every parameter is reported only for a loss that is bounded below and not above (a
cross-entropy, a mean of squares), and going uphill with one of several only where the loss is not linear in
it: a Lagrange multiplier is updated that way. If a step cannot be followed (through Python numbers,
NumPy, autograd), nothing is reported.

## References

- I. Goodfellow, Y. Bengio and A. Courville, Deep Learning, MIT Press 2016, chapter 8,
  https://www.deeplearningbook.org/contents/optimization.html
- PyTorch, torch.optim, https://docs.pytorch.org/docs/stable/optim.html
"""

from collections.abc import Iterator
from typing import Any

from gradcheck.base.groups import grouped
from gradcheck.base.paths import picked
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import code, listing, place
from gradcheck.judge.step.records import Movement, ParameterUpdate
from gradcheck.judge.verdict import PassResult
from gradcheck.program.location import Location

_NOT_FROM_IT = (Movement.LOST, Movement.REPLACED, Movement.TURNED_ROUND)
Found = list[tuple[int, ParameterUpdate]]


def check(evidence: Evidence) -> Iterator[Finding]:
    moved = [(step.index, u) for step in evidence.passes for u in step.flow.updates]
    uphill = [(step.index, u) for step in evidence.passes for u in _against_the_sign(step)]
    another = [one for one in moved if one[1].movement is Movement.ANOTHERS]
    not_from_it = [one for one in moved if one[1].movement in _NOT_FROM_IT]
    for told, found in ((_another, another), (_uphill, uphill), (_not_from_it, not_from_it)):
        by_line = grouped((u.location, (index, u)) for index, u in found)
        yield from (told(location, group) for location, group in by_line.items() if location is not None)


def _against_the_sign(step: PassResult) -> list[ParameterUpdate]:
    """The updates that go uphill by mistake. All of them going uphill is maximisation, unless the loss
    is of a form that nobody maximises; one among many that go downhill is a mistake, unless the loss is linear in the
    parameter: that is how a multiplier (of a constraint) is updated."""
    up = [u for u in step.flow.updates if u.movement is Movement.ASCENDS and u.location is not None]
    down = [u for u in step.flow.updates if u.movement is Movement.DESCENDS]
    if up and not down:
        return up if step.flow.minimised else []
    alone = len({u.location for u in up}) == 1 and len(up) == 1
    return [u for u in up if u.curved and alone and (len(down) > 1 or step.flow.minimised)]


def _another(location: Location, found: Found) -> Finding:
    updates = list({u.parameter: u for _, u in found}.values())
    first = updates[0]
    used, of = first.moved_by[0], first.moved_by_of[0]
    finding = _finding(
        location,
        found,
        f"{code(first.parameter)} is updated with {code(used)}, the gradient of {code(of)}",
        label=f"moves {code(first.parameter)} along the gradient of {code(of)}",
    )
    for update in updates[1:]:
        finding.notes.append(
            f"also {code(update.parameter)} with {code(update.moved_by[0])}, the gradient of "
            f"{code(update.moved_by_of[0])}"
        )
    if first.gradient is not None and first.gradient_location is not None:
        where = place(first.gradient_location, location)
        finding.notes.append(f"the gradient of {code(first.parameter)} is {code(first.gradient)} ({where})")
    if len(updates) > 1:
        finding.helps.append("put the parameters and their gradients in the same order")
    elif first.gradient is not None:
        finding.helps.append(f"update {code(first.parameter)} with {code(first.gradient)}")
    return finding


def _uphill(location: Location, found: Found) -> Finding:
    names = {u.parameter: None for _, u in found}
    verb = "moves" if len(names) == 1 else "move"
    return _finding(
        location,
        found,
        f"{listing(list(names))} {verb} uphill: the update adds the gradient of the loss",
        label="the step and the gradient have the same sign",
        helps=["subtract the gradient, or compute it with the opposite sign, but not both"],
    )


def _not_from_it(location: Location, found: Found) -> Finding:
    update = found[0][1]
    parameter, gradient = code(update.parameter), code(update.gradient)
    every = listing(list({u.parameter: None for _, u in found}))
    if update.movement is Movement.LOST:
        message, label = f"the new values of {every} are lost", "changes the loop variable, not the parameter"
        helps = ["change the parameter in place: `p -= ...` for `p = p - ...`"]
    elif update.movement is Movement.REPLACED:
        message, label = f"{parameter} is replaced by its step", f"nothing of the old {parameter} is in this"
        helps = [
            f"subtract the step from it: `-=`, not `=` or `=-` ({gradient} times the learning rate is the step)"
        ]
    else:
        message, label = (
            f"{parameter} changes its sign in this update",
            f"the old {parameter} is subtracted here",
        )
        helps = [f"subtract the step from {parameter}, not {parameter} from the step"]
    finding = _finding(location, found, message, label=label, helps=helps)
    if update.movement is Movement.LOST:
        finding.notes.append(
            f"after the loop {every} {'are' if ' and ' in every else 'is'} what it was before"
        )
    return finding


def _finding(location: Location, found: Found, message: str, **details: Any) -> Finding:
    return RULE.finding(
        location=location,
        message=message,
        evidence={
            "passes": sorted({index for index, _ in found}),
            "updates": [
                picked(u, "parameter movement=movement.value moved_by moved_by_of gradient")
                for u in {u.parameter: u for _, u in found}.values()
            ],
        },
        **details,
    )


RULE = Rule(__name__, __doc__, Severity.ERROR, check, outside_gradients=True)
