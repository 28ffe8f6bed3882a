"""GC202 saturated-layer: most of a tanh or sigmoid layer is at its limits, where there is next to no gradient.

## What it does

Counts how many outputs of each hidden tanh or sigmoid layer are saturated, abs(tanh(z)) > 0.97, over many
minibatches of the program's own data, and reports a layer of which more than half are. A sigmoid is a tanh
of half its argument and has the same limits. The finding also gives the share beyond the stricter limit for
the pre-activation, abs(z) > 9.5, where 1 - tanh(z)**2 is exactly 0 in float32.

It recognises the function by what it computes: `(e**z - e**-z) / (e**z + e**-z)` is a tanh as well. The
prediction of a network may be saturated for a good reason and is not judged.

## Why is this bad?

Where a tanh is saturated its derivative is almost 0, and the gradient of everything before it is multiplied
by that. The layers before a saturated one learn slowly or not at all. At the start of training the cause is
nearly always weights that are too large for their number of inputs.

## Example

```python
W1 = torch.randn(30, 200)
...
h = torch.tanh(x @ W1)
```

## Use instead

```python
W1 = torch.randn(30, 200) * (5 / 3) / 30**0.5
...
h = torch.tanh(x @ W1)
```

## How it is measured

The forward pass of the recorded step is replayed on a sweep of minibatches (64, or as many as `--sweep`
says) at the parameters of the recorded step. Shares are of all outputs of the layer on all samples. The
standard deviation of the weight is that of the parameter of the nearest linear map before the layer; the
suitable value is gain / sqrt(inputs), with the gain 5/3 for tanh and 1 for sigmoid.

## References

- A. Karpathy, Building makemore Part 3: Activations & Gradients, BatchNorm, 2022,
  https://github.com/karpathy/nn-zero-to-hero
- X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS
  2010, https://proceedings.mlr.press/v9/glorot10a.html
- K. He et al., Delving Deep into Rectifiers, ICCV 2015, https://arxiv.org/abs/1502.01852
- PyTorch, torch.nn.init.calculate_gain, https://docs.pytorch.org/docs/stable/nn.init.html
"""

from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.base.paths import picked
from gradcheck.base.thresholds import Thresholds
from gradcheck.checks import activation_wording as layers
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.health.activations.records import ActivationRecord


def check(evidence: Evidence) -> Iterator[Finding]:
    def bad(record: ActivationRecord) -> bool:
        limit = evidence.thresholds["GC202.saturated-share"]
        return _can_judge(record, evidence.thresholds) and _share(record) > limit

    for records in layers.worst_by_line(evidence, bad, _share):
        yield _finding(records, evidence)


def looked_at(evidence: Evidence) -> Looked:
    def why_none(records: layers.Layer) -> str:
        saturating = [record for record in records if record.saturated is not None]
        if not saturating:
            return "no hidden layer is a tanh or a sigmoid"
        return layers.too_few_samples(evidence, saturating, evidence.thresholds["GC202.minimum-samples"])

    return layers.looked_at(evidence, lambda record: _can_judge(record, evidence.thresholds), why_none)


def _can_judge(record: ActivationRecord, thresholds: Thresholds) -> bool:
    return record.saturated is not None and record.samples >= thresholds["GC202.minimum-samples"]


def _share(record: ActivationRecord) -> float:
    return record.saturated or 0.0


def _finding(records: layers.Layer, evidence: Evidence) -> Finding:
    record = max(records, key=_share)
    others = [other for other in records if other is not record]
    health = evidence.health.activations
    name = layers.called(record, health.layers)
    whole = sum(s > evidence.thresholds["GC202.saturated-share"] for s in record.unit_saturated)
    notes = [_beyond(record, health.beyond_limit)] if record.beyond is not None else []
    if record.unit_saturated:
        notes.append(
            f"{whole} of {numbers.count(record.units, 'unit')} are saturated on more than half of the samples"
        )
    notes += layers.other_layers(evidence, others, lambda other: layers.share(_share(other)))
    notes += layers.other_iterations(evidence, record, lambda other: layers.share(_share(other)))
    return RULE.finding(
        location=record.location,
        message=f"{layers.share(_share(record))} of {name} is saturated: {_limits(record, health.saturated_limit)}",
        label=f"{_slope(record, health.saturated_limit)} (seen on {layers.looked_on(record)})",
        notes=notes,
        helps=[help_ for one in [record, *others][:3] for help_ in layers.scale_helps(one)],
        evidence=picked(
            record,
            "value=name layer function saturated beyond argument_mean argument_std weight=weight.name "
            "weight_std=weight.std wanted_std=weight.wanted_std samples batches iteration",
            layers=sorted(one.layer for one in records),
        ),
    )


def _limits(record: ActivationRecord, limit: float) -> str:
    if record.function == "tanh":
        return f"beyond -{limit:g} or {limit:g}"
    return f"below {numbers.value((1 - limit) / 2)} or above {numbers.value((1 + limit) / 2)}"


def _slope(record: ActivationRecord, limit: float) -> str:
    slope = 1 - limit**2 if record.function == "tanh" else (1 - limit**2) / 4
    return f"the derivative of {record.function} is below {numbers.value(slope, 2)} there"


def _beyond(record: ActivationRecord, limit: float) -> str:
    limit = limit if record.function == "tanh" else 2 * limit
    return (
        f"{layers.share(record.beyond or 0.0)} is beyond {limit:g} before {record.function}, where no gradient "
        "is left"
    )


RULE = Rule(__name__, __doc__, Severity.WARNING, check, looked_at=looked_at)
