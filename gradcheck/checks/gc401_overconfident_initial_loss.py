"""GC401 overconfident-initial-loss: the first loss is far above ln(classes).

## What it does

Compares the loss of the first training step with ln(C), the loss of a network that predicts C equally likely
classes, whatever the right answers are. It is reported if it is more than `GC401.factor` times that, beyond
what the choice of the minibatch explains.

The location is where the last layer's weights are created, if that is one line, and otherwise where they are
applied.

## Why is this bad?

Before training, no class should be much likelier than another. Large random logits are confident and wrong.
The first hundreds of steps then only shrink them: the loss falls steeply at first and looks like a success,
and this dominates the gradients of the hidden layers.

## Example

```python
W2 = torch.randn(200, 27)           # logits with a standard deviation of about 10
...
logits = h @ W2 + b2
loss = F.cross_entropy(logits, Y)   # 22.6 at the first step, where ln(27) = 3.30
```

## Use instead

```python
W2 = torch.randn(200, 27) * 0.01
...
logits = h @ W2 + b2
loss = F.cross_entropy(logits, Y)   # 3.30
```

## How it is measured

That the loss is a softmax cross-entropy is recognised from the recorded operations and their numbers, not
from names: from the loss, sums, means and factors are followed back to `F.cross_entropy` or `F.nll_loss`, or
to where entries are picked (by an index, `gather`, a product with one-hot rows) of a tensor whose values, or
their exponentials, add up to 1 along one axis. The length of this axis is the number of classes. The judged
number is the mean over the examples of minus the log-probability of the right answer, so a sum over the
batch or over time steps, and an added penalty, make no difference. Two standard errors are subtracted from
this mean before it is compared.

Only the first step of a training is judged (iteration 0, with parameters that no earlier step has changed),
and only one that updates a parameter. The loss with smaller weights, given in the help, is measured by
replaying the step with them.

## References

- A. Karpathy, Neural Networks: Zero to Hero, Building makemore Part 3: Activations & Gradients, BatchNorm,
  https://www.youtube.com/watch?v=P6sfmUTpUmc
- A. Karpathy, A Recipe for Training Neural Networks, 'verify loss @ init',
  https://karpathy.github.io/2019/04/25/recipe/
"""

from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.base.paths import picked
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.checks.wording import code, place
from gradcheck.health.updates.records import InitialLoss
from gradcheck.program.location import Location

# The mean over the examples is this many standard errors surer than the limit: a few unlucky examples are no fault.
_ERRORS = 2.0


def check(evidence: Evidence) -> Iterator[Finding]:
    factor = evidence.thresholds["GC401.factor"]
    for loss in _judged(evidence):
        location = loss.made or loss.layer or loss.location
        if location is not None and loss.found - _ERRORS * loss.error > factor * loss.expected:
            yield _finding(location, loss)


def looked_at(evidence: Evidence) -> Looked:
    health = evidence.health.updates
    losses = _judged(evidence)
    if not losses:
        no_step = "" if not health.initial_losses else "the first loss belongs to no training step"
        return Looked(why_not=health.absent or health.no_loss or no_step)
    return Looked(
        ", ".join(
            f"{_value(loss.found)} at the first step, ln({loss.classes}) = {_value(loss.expected)}"
            for loss in losses
        )
    )


def _judged(evidence: Evidence) -> list[InitialLoss]:
    return [loss for loss in evidence.health.updates.initial_losses if loss.trains]


def _finding(location: Location, loss: InitialLoss) -> Finding:
    return RULE.finding(
        location=location,
        message=f"the first loss is {_value(loss.found)}, {_value(loss.found / loss.expected, 2)} times that of "
        "uniform predictions",
        label=f"the logits are {code(loss.weights)} times the last hidden layer"
        if loss.weights
        else "the predictions are confident, and wrong, before anything is learned",
        expected=f"about {_value(loss.expected)} = ln({loss.classes}), for {loss.classes} classes that are all "
        "equally likely",
        found=f"{_value(loss.found)} per example, over {numbers.count(loss.examples, 'example')}",
        notes=list(_notes(location, loss)),
        helps=list(_helps(loss)),
        evidence=picked(
            loss,
            "loss=found expected classes standard_error=error logits_std scale loss_at_scale",
            passes=[loss.pass_index],
            weights=loss.weights or None,
        ),
    )


def _notes(location: Location, loss: InitialLoss) -> Iterator[str]:
    if loss.logits_std is not None:
        where = (
            f" ({place(loss.layer, location)})" if loss.layer is not None and loss.layer != location else ""
        )
        yield f"the logits{where} have a standard deviation of {_value(loss.logits_std, 2)} within an example"


def _helps(loss: InitialLoss) -> Iterator[str]:
    smaller = loss.loss_at_scale
    if loss.scale is not None and smaller is not None and smaller < 1.2 * loss.expected:
        yield (
            f"multiply {code(loss.weights)} by {_value(loss.scale, 1)} where it is made: this step's loss would be "
            f"{_value(smaller)}"
        )
    else:
        yield "make the weights and the bias of the last layer small, so that all logits begin near 0"


def _value(number: float, digits: int = 4) -> str:
    return numbers.value(number, digits)


RULE = Rule(__name__, __doc__, Severity.WARNING, check, looked_at=looked_at)
