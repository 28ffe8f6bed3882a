"""GC301 not-normalising: a batch normalisation does not give its output mean 0 and standard deviation 1.

## What it does

Finds a layer that uses the mean and the variance of its batch, and whose output, before scale and shift,
does not have mean 0 and standard deviation 1 for every feature. The layer is recognised by what it computes,
not by names: also where its scale is the wrong power of the variance, a statistic is over the wrong axis or
of another tensor, the mean is not subtracted before squaring, or the sum is not divided. The finding says
which of these it is, at the line that computes the wrong statistic.

Whether the variance divides by n or by n - 1 does not matter here, nor does an epsilon that is larger than
the variance (GC306).

## Why is this bad?

Nothing raises: the network computes something, and its gradients may even be right for what it computes.
But the layer makes the differences between features larger instead of removing them, activations saturate
or vanish, and the learning rates that batch normalisation allows are out of reach.

## Example

```python
centred = z - z.mean(0, keepdim=True)
var = (centred**2).mean(0, keepdim=True)
norm = centred * (var + 1e-5) ** 0.5     # multiplies by the standard deviation
```

## Use instead

```python
centred = z - z.mean(0, keepdim=True)
var = (centred**2).mean(0, keepdim=True)
norm = centred * (var + 1e-5) ** -0.5
```

## How it is measured

The recorded lines of the layer are replayed alone, with its scale set to 1 and its shift to 0, on random
numbers of mean 3 and standard deviation 1, scaled up until the epsilon is negligible, and then doubled and
shifted: a correct layer gives the same output each time. How the output grows with the input shows the power
of the variance, and its width shows the number that the sum is divided by. The means and standard deviations
shown are those of the output on the program's own data, over all batches of the sweep. Where a statistic is
of another tensor or axis, the output on the program's own data must be wrong too. Where running statistics
are mixed in, nothing is reported.

## References

- S. Ioffe and C. Szegedy, Batch Normalization, ICML 2015, https://arxiv.org/abs/1502.03167
- PyTorch, BatchNorm1d, https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.base.paths import picked
from gradcheck.checks.batch_norms import also, looked_at_measured, measured
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import code, place
from gradcheck.health.batch_norm.records import BatchNormLayer, Fault
from gradcheck.program.location import Location

_CAUSES: dict[str, list[str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def check(evidence: Evidence) -> Iterator[Finding]:
    wrong = [(_where(layer), layer) for layer in measured(evidence) if layer.fault is not Fault.NONE]
    for location, group in grouped(wrong).items():
        yield _finding(location, group)


def _where(layer: BatchNormLayer) -> Location:
    """The line to edit: that of the wrong statistic, if it has a line of its own."""
    if layer.fault is Fault.MEAN:
        return layer.mean_location or layer.location
    if layer.fault in (Fault.FOREIGN, Fault.AXIS):
        return layer.location
    return layer.scale_location or layer.location


def _finding(location: Location, group: list[BatchNormLayer]) -> Finding:
    layer = group[0]
    because, help_ = _cause(layer)
    notes = []
    if location.line != layer.location.line:
        notes.append(
            f"the value that is normalised with it is {code(layer.norm)} ({place(layer.location, location)})"
        )
    notes += also(group, [one.norm for one in group])
    notes.append(
        f"measured over {numbers.count(layer.batches, 'batch', 'batches')} of {layer.batch} rows, before scale and shift"
    )
    return RULE.finding(
        location=location,
        message=f"the batch normalisation of {code(layer.input)} does not normalise: it {because}",
        label=because,
        expected="every feature of the output with mean 0 and standard deviation 1",
        found=_found(layer),
        notes=notes,
        helps=[help_],
        evidence=picked(
            layer,
            "input norm layer=number cause=fault.value exponent correction output_mean_worst=worst_mean batches",
            passes=sorted({one.pass_index for one in group}),
            output_std_low=min(layer.stds, default=None),
            output_std_high=max(layer.stds, default=None),
            output_std_median=median(layer.stds) if layer.stds else None,
        ),
    )


def _found(layer: BatchNormLayer) -> str:
    low, high = min(layer.stds), max(layer.stds)
    parts = [f"standard deviations from {numbers.value(low)} to {numbers.value(high)}"]
    if layer.worst_mean is not None and layer.worst_mean > 1e-6:
        parts.append(f"means up to {numbers.value(layer.worst_mean)} from 0")
    return ", ".join(parts)


def _cause(layer: BatchNormLayer) -> tuple[str, str]:
    """What it does, and what it should do instead."""
    if layer.fault is Fault.POWER:
        return _power(layer)
    of = f" of {code(layer.foreign)}" if layer.foreign else ""
    does, instead = _CAUSES[layer.fault.value]
    return does.format(of=of), instead.format(input=code(layer.input), batch=layer.batch)


def _power(layer: BatchNormLayer) -> tuple[str, str]:
    exponent = round(2 * (layer.exponent or 0.0)) / 2
    of = code(layer.scale) if layer.scale else "the scale"
    known = {
        0.5: "multiplies by the standard deviation instead of dividing by it",
        1.0: "multiplies by the variance instead of dividing by the standard deviation",
        -1.0: "divides by the variance instead of the standard deviation",
        0.0: "is not divided by its standard deviation",
    }
    said = known.get(exponent, f"scales by the variance to the power of {numbers.value(layer.exponent)}")
    return said, f"{of} should be the variance to the power of -0.5"


RULE = Rule(__name__, __doc__, Severity.ERROR, check, looked_at=looked_at_measured, outside_gradients=True)
