"""GC303 variance-convention-mismatch: variances over n and over n - 1 are used in each other's place.

## What it does

Finds a running variance over n where the training normalises with the variance over n - 1, and two batch
normalisations of one forward pass that use different ones. A note: both conventions are used, and the
difference is small.

PyTorch normalises with n and keeps the running variance with n - 1, which estimates the population's
without bias: that is not reported. A backward formula of the other convention than the forward pass is a
wrong gradient (GC101).

## Why is this bad?

The variance over n is smaller, by a factor of (n-1)/n: 3 % at 32 rows. The activations in evaluation are
then wider than those the next layer was trained on, and a backward formula that is right for one layer is
wrong for the other.

## Example

```python
var = z.var(0)                                        # over n - 1
norm = (z - z.mean(0)) / (var + 1e-5).sqrt()
running_var = 0.9 * running_var + 0.1 * z.var(0, unbiased=False)
```

## Use instead

```python
var = z.var(0)
norm = (z - z.mean(0)) / (var + 1e-5).sqrt()
running_var = 0.9 * running_var + 0.1 * var
```

## How it is measured

The divisor of the variance is measured, not read: from the width of the layer's output on random numbers
scaled up until the epsilon is negligible, and, for a running variance, from the numbers it converges to when
the step is replayed.

## References

- PyTorch, BatchNorm1d, https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
"""

from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.base.paths import picked
from gradcheck.checks.batch_norms import looked_at_layers, measured
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.checks.wording import code, place
from gradcheck.health.batch_norm.records import BatchNormLayer, Fault
from gradcheck.program.location import Location

_WORDS = {0.0: "n", 1.0: "n - 1"}


def check(evidence: Evidence) -> Iterator[Finding]:
    yield from _running(evidence)
    yield from _layers(evidence)


def _looked(evidence: Evidence) -> Looked:
    return looked_at_layers(evidence, _known(evidence))


def _known(evidence: Evidence) -> list[BatchNormLayer]:
    return [one for one in measured(evidence) if one.correction in _WORDS and one.fault is Fault.NONE]


def _running(evidence: Evidence) -> Iterator[Finding]:
    """A running variance that is too small: an average of uncorrected batch variances."""
    layers = {(one.pass_index, one.number): one for one in _known(evidence)}
    seen: set[Location] = set()
    for use in evidence.health.batch_norm.in_use:
        layer = layers.get((use.pass_index, use.layer))
        for statistic in use.statistics:
            if (
                layer is None
                or statistic.correction != 0
                or layer.correction != 1
                or statistic.location in seen
            ):
                continue
            seen.add(statistic.location)
            wider = (layer.batch / (layer.batch - 1)) ** 0.5 - 1
            yield RULE.finding(
                location=statistic.location,
                message=f"the running variance {code(statistic.name)} divides by n, the batch variance by n - 1",
                label=f"with batches of {layer.batch}, evaluation is {numbers.value(100 * wider, 2)} % wider than training",
                notes=[
                    f"the training normalises {code(layer.input)} on {place(layer.location, statistic.location)}"
                ],
                helps=[
                    "update the running variance with the same variance that the training uses, over n - 1"
                ],
                evidence=picked(layer, "layer=number batch", statistic=statistic.name, forward=1, running=0),
            )


def _layers(evidence: Evidence) -> Iterator[Finding]:
    """Two layers of one forward pass with different conventions."""
    seen: set[Location] = set()
    for index in sorted({one.pass_index for one in _known(evidence)}):
        layers = [one for one in _known(evidence) if one.pass_index == index]
        first = layers[0]
        for other in layers[1:]:
            location = other.scale_location or other.location
            if other.correction == first.correction or location in seen:
                continue
            seen.add(location)
            yield RULE.finding(
                location=location,
                message=f"this batch normalisation divides by {_word(other)}, the one of {code(first.input)} by {_word(first)}",
                label=f"a variance over {_word(other)}",
                notes=[f"over {_word(first)} on {place(first.scale_location or first.location, location)}"],
                helps=["either is right by itself; a backward formula copied from one to the other is not"],
                evidence=picked(
                    other,
                    "layer=number correction",
                    other_layer=first.number,
                    other_correction=first.correction,
                ),
            )


def _word(layer: BatchNormLayer) -> str:
    return _WORDS[layer.correction or 0.0]


RULE = Rule(__name__, __doc__, Severity.NOTE, check, looked_at=_looked)
