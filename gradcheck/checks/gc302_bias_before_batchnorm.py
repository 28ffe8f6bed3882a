"""GC302 bias-before-batchnorm: a bias is added to what a batch normalisation centres, and has no effect.

## What it does

Finds a parameter that is added, one number per feature, to the very value whose mean over the batch is then
subtracted. Whatever the bias is, the output is the same. A note: the program is right.

## Why is this bad?

It only misleads the reader: the bias costs memory and time, its gradient is only rounding error, and it
looks as if it were trained. The shift of the batch normalisation takes its place.

## Example

```python
z = x @ W + b
norm = (z - z.mean(0)) / (z.var(0) + 1e-5).sqrt()
out = gamma * norm + beta
```

## Use instead

```python
z = x @ W
norm = (z - z.mean(0)) / (z.var(0) + 1e-5).sqrt()
out = gamma * norm + beta
```

## How it is measured

The bias is found on the way from the linear layer to the value that is normalised. Replaying the lines of
the layer on shifted numbers shows that a shift of all rows does not change the output.

## References

- S. Ioffe and C. Szegedy, Batch Normalization, ICML 2015, section 3.2, https://arxiv.org/abs/1502.03167
"""

from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.base.paths import picked
from gradcheck.checks.batch_norms import looked_at_measured, measured
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import code, place
from gradcheck.health.batch_norm.records import BatchNormLayer, Fault
from gradcheck.program.location import Location

_CENTRES = (Fault.NONE, Fault.POWER, Fault.NOT_AVERAGED, Fault.SCALE)


def check(evidence: Evidence) -> Iterator[Finding]:
    useless = [
        (layer.bias_location, layer)
        for layer in measured(evidence)
        if layer.bias and layer.bias_location is not None and layer.fault in _CENTRES
    ]
    for location, group in grouped(useless).items():
        yield _finding(location, group)


def _finding(location: Location, group: list[BatchNormLayer]) -> Finding:
    layer = group[0]
    kept = f"{code(layer.beta.name)} takes its place" if layer.beta else "a shift after it would remain"
    count = len({one.number for one in group})
    return RULE.finding(
        location=location,
        message=f"the bias {code(layer.bias)} has no effect: the batch normalisation after it subtracts it",
        label=f"added here, and subtracted with the mean on {place(layer.mean_location or layer.location, location)}",
        notes=[
            f"its true gradient is 0; {kept}",
            *([f"the same line is run for {numbers.count(count, 'layer')}"] if count > 1 else []),
        ],
        evidence=picked(layer, "bias input layer=number", passes=sorted({one.pass_index for one in group})),
    )


RULE = Rule(__name__, __doc__, Severity.NOTE, check, looked_at=looked_at_measured)
