"""GC305 small-batch: a batch normalisation takes its mean and variance of very few numbers.

## What it does

Finds batch normalisations whose statistics are computed from fewer numbers per feature than the limit. In a
convolution the pixels of all images count, in a sequence its positions, if the statistics are over them.

## Why is this bad?

The variance of n numbers has a relative standard error of sqrt(2/(n-1)): with 2 numbers every output is plus
or minus 1 whatever the input was. What the network computes for one row depends on which few others are in
the batch, and the population statistics, used in evaluation, are very different.

## Example

```python
batch = torch.randint(0, len(X), (2,))
z = X[batch] @ W
norm = (z - z.mean(0)) / (z.var(0) + 1e-5).sqrt()
```

## Use instead

```python
batch = torch.randint(0, len(X), (32,))
z = X[batch] @ W
norm = (z - z.mean(0)) / (z.var(0) + 1e-5).sqrt()
```

## How it is measured

The numbers behind each mean and variance of the recorded step are counted.

## References

- Y. Wu and K. He, Group Normalization, ECCV 2018, table 2, https://arxiv.org/abs/1803.08494
"""

from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.base.paths import picked
from gradcheck.checks.batch_norms import looked_at
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import code
from gradcheck.health.batch_norm.records import BatchNormLayer
from gradcheck.program.location import Location


def check(evidence: Evidence) -> Iterator[Finding]:
    limit = evidence.thresholds["GC305.batch-size"]
    small = [(layer.location, layer) for layer in evidence.health.batch_norm.layers if layer.batch < limit]
    for location, group in grouped(small).items():
        yield _finding(location, group)


def _finding(location: Location, group: list[BatchNormLayer]) -> Finding:
    layer = min(group, key=lambda one: one.batch)
    error = (2 / (layer.batch - 1)) ** 0.5
    return RULE.finding(
        location=location,
        message=f"the batch normalisation of {code(layer.input)} computes its statistics from only {layer.batch} numbers",
        label=f"a variance of {layer.batch} numbers has a relative standard error of {numbers.value(100 * error, 2)} %",
        helps=["use larger batches, or a normalisation over the features of each row (layer normalisation)"],
        evidence=picked(layer, "input batch", passes=sorted({one.pass_index for one in group})),
    )


RULE = Rule(__name__, __doc__, Severity.WARNING, check, looked_at=looked_at)
