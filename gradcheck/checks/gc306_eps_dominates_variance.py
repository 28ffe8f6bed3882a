"""GC306 eps-dominates-variance: the epsilon of a batch normalisation is larger than the variances it is added to.

## What it does

Finds batch normalisations where, in most of the features that vary at all, the variance over the batch is
smaller than the epsilon that is added to it (the standard deviation, where it is added to that).

## Why is this bad?

The epsilon is there to keep a constant feature from a division by zero. Where it is larger than the
variance, it determines the scale: the output is not normalised, but divided by a constant.

## Example

```python
W = torch.randn(30, 100) * 0.0001
...
z = x @ W                                  # variances of about 3e-7
norm = (z - z.mean(0)) / (z.var(0) + 1e-5).sqrt()
```

## Use instead

```python
W = torch.randn(30, 100) / 30**0.5
...
z = x @ W                                  # variances of about 1
norm = (z - z.mean(0)) / (z.var(0) + 1e-5).sqrt()
```

## How it is measured

The epsilon is found by replaying the lines of the layer on smaller and smaller numbers, until the output is
proportional to them. It is compared with the median over the sweep of every feature's variance. Features
that are the same in every row of every batch are left out: a dead unit is another matter.

## References

- S. Ioffe and C. Szegedy, Batch Normalization, ICML 2015, https://arxiv.org/abs/1502.03167
- PyTorch, BatchNorm1d, https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
"""

from collections.abc import Iterator
from statistics import median

from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.base.paths import picked
from gradcheck.checks.batch_norms import looked_at_layers, measured
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.checks.wording import code
from gradcheck.health.batch_norm.records import BatchNormLayer
from gradcheck.program.location import Location


def check(evidence: Evidence) -> Iterator[Finding]:
    limit = evidence.thresholds["GC306.feature-share"]
    small = [
        (layer.scale_location or layer.location, layer)
        for layer in measured(evidence)
        if layer.eps and layer.below_eps > limit
    ]
    for location, group in grouped(small).items():
        yield _finding(location, group)


def _looked(evidence: Evidence) -> Looked:
    layers = [layer for layer in measured(evidence) if layer.eps]
    if measured(evidence) and not layers:
        return Looked(why_not="no batch normalisation has an epsilon")
    return looked_at_layers(evidence, layers)


def _finding(location: Location, group: list[BatchNormLayer]) -> Finding:
    layer = max(group, key=lambda one: one.below_eps)
    varying = [variance for variance in layer.variances if variance > 0]
    typical = median(varying)
    limit = (layer.eps or 0.0) ** 2 if layer.eps_on_std else layer.eps
    wide = median(layer.stds) if layer.stds else None
    return RULE.finding(
        location=location,
        message=f"the epsilon is larger than the variance of {code(layer.input)}: it decides the scale",
        label=f"in {round(100 * layer.below_eps)} % of the features",
        expected=f"a variance well above {numbers.value(limit)}",
        found=f"a variance of {numbers.value(typical)} in the median feature, whose output has a standard deviation of "
        f"{numbers.value(wide)}",
        helps=["use a smaller epsilon, or larger inputs: the initial weights may be too small"],
        evidence=picked(
            layer,
            "input eps eps_on_std share=below_eps",
            median_variance=typical,
            passes=sorted({one.pass_index for one in group}),
        ),
    )


RULE = Rule(__name__, __doc__, Severity.WARNING, check, looked_at=_looked)
