"""GC403 symmetric-weights: hidden units have equal weights and equal gradients, so they stay equal.

## What it does

Finds a hidden layer whose units all have the same weights (all zero, or any other constant), compute the
same on every example of the minibatch, and get the same gradient. What is between this layer and the next
(bias, normalisation, activation) must not distinguish them either.

Zero weights alone are not reported: in a last layer every class gets a different gradient, and in a hidden
one the units differ after the first step if what follows them differs. The location is where the weights are
created, if that is one line, and otherwise where they are applied.

## Why is this bad?

Equal units that get equal gradients remain equal: a layer of two hundred of them is one unit, two hundred
times. If the layer after it is zero as well, no gradient reaches it at all. The loss still falls a little
(the last bias learns how frequent each class is), so it looks like training that is merely slow.

## Example

```python
W1 = torch.zeros(40, 200)
W2 = torch.zeros(200, 27)
```

## Use instead

```python
W1 = torch.randn(40, 200) * (5 / 3) / 40**0.5
W2 = torch.randn(200, 27) * 0.01
```

## How it is measured

The forward pass is replayed in float64 and differentiated by autograd, so the gradients compared are the
true ones, not those of the program. A hidden layer is a product of a parameter with two axes and
something computed, from which another such product is computed. Its units lie along the axis of the
parameter that the product keeps. They count as identical if the weights, and the values and gradients of the
product and of all that is computed from it unit by unit, agree to 1e-9 of the largest. No threshold is
involved.

## References

- I. Goodfellow, Y. Bengio and A. Courville, Deep Learning, MIT Press 2016, section 8.4,
  https://www.deeplearningbook.org/contents/optimization.html
- CS231n, Neural Networks Part 2, 'Pitfall: all zero initialization',
  https://cs231n.github.io/neural-networks-2/
"""

from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.base.paths import picked
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.checks.wording import code, place
from gradcheck.health.updates.records import SymmetricLayer
from gradcheck.program.location import Location


def check(evidence: Evidence) -> Iterator[Finding]:
    by_place = (((one.made or one.location, one.weights), one) for one in evidence.health.updates.symmetric)
    for (location, _), layers in grouped(by_place).items():
        if location is not None:
            yield _finding(location, layers)


def looked_at(evidence: Evidence) -> Looked:
    health = evidence.health.updates
    if not health.layers:
        return Looked(why_not=health.absent or "no hidden linear layer was recognised")
    return Looked(numbers.count(health.layers, "hidden layer"))


def _finding(location: Location, layers: list[SymmetricLayer]) -> Finding:
    layer = layers[0]
    weights, units = code(layer.weights), layer.units
    value = "all zero" if layer.all_zero else "the same for every unit"
    finding = RULE.finding(
        location=location,
        message=f"the {units} hidden units of {weights} are identical and will stay identical",
        label=f"the weights are {value}",
        expected=f"{units} units that differ in their weights, or get different gradients",
        found="equal weights, equal outputs on every example, and "
        + ("no gradient at all" if layer.no_gradient else "equal gradients"),
        helps=[
            f"initialise {weights} at random: biases may be zero, and so may the weights of one layer, but not these"
        ],
        evidence=picked(
            layer,
            "weights all_zero no_gradient",
            passes=sorted({one.pass_index for one in layers}),
            iterations=sorted({one.iteration for one in layers if one.iteration is not None}),
            units=units,
        ),
    )
    if layer.location is not None and layer.location != location:
        finding.notes.append(f"they are computed in {place(layer.location, location)}")
    iterations = finding.evidence["iterations"]
    if len(iterations) > 1:
        finding.notes.append(f"the same at iterations {', '.join(map(str, iterations))}")
    return finding


RULE = Rule(__name__, __doc__, Severity.WARNING, check, looked_at=looked_at)
