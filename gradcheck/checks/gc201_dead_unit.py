"""GC201 dead-unit: a unit has no gradient on any sample of a sweep over the data.

## What it does

Examines every unit of every hidden non-linearity on many minibatches of the program's own data, and reports
those that have no gradient on any sample: a relu unit that is never on, or a tanh or sigmoid unit that is
saturated on every sample, so that the derivative is exactly 0 in the program's dtype or below its epsilon. A
unit of a leaky relu counts as dead if it is on its negative side on every sample and the slope there is
small.

Weights drawn around zero leave some relu units of a deep or narrow network dead, in correct programs too. So
a relu layer is reported if it has many more dead units than that, or if one of them is far from all others,
as with a diverged bias. A dead tanh or sigmoid unit is always reported.

A unit is a channel of a convolution, a row of `W @ x`, and otherwise a position along the last axis. The
input of the loss (the output of a classifier, a hinge) is not a hidden layer and is not judged.

## Why is this bad?

The weights of such a unit get no gradient: it stays as it is for the rest of training, unless the layers
before it change. The network is smaller than intended.

## Example

```python
W1 = torch.randn(30, 200)
...
h = torch.relu(x @ W1 - 20)
```

## Use instead

```python
W1 = torch.randn(30, 200) * (2 / 30) ** 0.5
...
h = torch.relu(x @ W1)
```

## How it is measured

The forward pass of the recorded step is replayed on a sweep of minibatches (64, or as many as `--sweep`
says), drawn in the same way as the program draws its own. The parameters are those of the recorded step. The
finding gives the number of samples. Below a minimum nothing is reported: a unit that is off on one small
batch may be on for the next. How many units random weights leave dead is measured by applying such weights,
without a bias, to the layer's input in the sweep.

## References

- A. Karpathy, Building makemore Part 3: Activations & Gradients, BatchNorm, 2022,
  https://github.com/karpathy/nn-zero-to-hero
- L. Lu et al., Dying ReLU and Initialization: Theory and Numerical Examples, 2020,
  https://arxiv.org/abs/1903.06733
"""

import math
from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.base.paths import picked
from gradcheck.base.thresholds import Thresholds
from gradcheck.checks import activation_wording as layers
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.health.activations.records import ActivationRecord

# What is expected where it is not known what the layer is given: deep right networks of relus come near it.
_EXPECTED_AT_MOST = 0.3
_RARE = 1e-4


def check(evidence: Evidence) -> Iterator[Finding]:
    def bad(record: ActivationRecord) -> bool:
        return _can_judge(record, evidence.thresholds) and _is_unusual(record, evidence.thresholds)

    for records in layers.worst_by_line(evidence, bad, lambda record: len(record.dead)):
        yield _finding(records, evidence)


def looked_at(evidence: Evidence) -> Looked:
    thresholds = evidence.thresholds

    def why_none(records: layers.Layer) -> str:
        known = [r for r in records if r.off is not None and not _gentle(r, thresholds)]
        if not known:
            functions = sorted({record.function for record in records})
            return (
                f"where the derivative of {' and '.join(functions)} is zero is unknown, or it is zero nowhere"
            )
        return layers.too_few_samples(evidence, known, thresholds["GC201.minimum-samples"])

    return layers.looked_at(evidence, lambda record: _can_judge(record, thresholds), why_none)


def _can_judge(record: ActivationRecord, thresholds: Thresholds) -> bool:
    enough = record.samples >= thresholds["GC201.minimum-samples"]
    return record.off is not None and enough and not _gentle(record, thresholds)


def _is_unusual(record: ActivationRecord, thresholds: Thresholds) -> bool:
    """Whether the dead units are more than random weights leave dead by themselves."""
    if record.saturated is not None or record.stranded:
        return bool(record.dead)
    expected = _EXPECTED_AT_MOST if record.expected_dead is None else record.expected_dead
    dead, units = len(record.dead), max(1, record.units)
    return (
        dead / units > expected + thresholds["GC201.dead-share"] and _by_chance(dead, units, expected) < _RARE
    )


def _by_chance(dead: int, units: int, expected: float) -> float:
    """The probability of as many dead units or more if each is dead with the probability `expected`."""
    if expected <= 0:
        return 0.0
    logs = (
        math.lgamma(units + 1)
        - math.lgamma(k + 1)
        - math.lgamma(units - k + 1)
        + k * math.log(expected)
        + (units - k) * math.log1p(-min(expected, 1 - 1e-12))
        for k in range(dead, units + 1)
    )
    return sum(map(math.exp, logs))


def _gentle(record: ActivationRecord, thresholds: Thresholds) -> bool:
    return record.slope is not None and record.slope > thresholds["GC201.leaky-slope"]


def _finding(records: layers.Layer, evidence: Evidence) -> Finding:
    record = max(records, key=lambda one: len(one.dead) / max(1, one.units))
    others = [other for other in records if other is not record]
    name = layers.called(record, evidence.health.activations.layers)
    notes = _arguments(record)
    notes += layers.other_layers(evidence, others, lambda other: f"{len(other.dead)} of {other.units} units")
    notes += layers.other_iterations(evidence, record, lambda other: f"{len(other.dead)} dead")
    return RULE.finding(
        location=record.location,
        message=f"{_how_many(record)} dead in {name}: {_consequence(record)}",
        label=f"{_where(record)} on all of {layers.looked_on(record)}: {layers.unit_numbers(record.dead)}",
        notes=notes,
        helps=_helps(record),
        evidence=picked(
            record,
            "value=name layer function units dead expected_share=expected_dead samples batches iteration",
            layers=sorted(one.layer for one in records),
            share=len(record.dead) / max(1, record.units),
        ),
    )


def _how_many(record: ActivationRecord) -> str:
    dead, units = len(record.dead), record.units
    if dead == units:
        return f"all {units} units are" if units > 1 else "the only unit is"
    return f"{dead} of {units} units ({layers.share(dead / units)}) {'is' if dead == 1 else 'are'}"


def _arguments(record: ActivationRecord) -> list[str]:
    """What goes into the dead units, beside what goes into all."""
    units = record.stranded or record.dead
    if record.dead_argument is None or record.middle is None or len(units) == record.units:
        return []
    most = "" if len(units) == 1 else " in the most extreme unit"
    return [
        f"the input of {layers.unit_numbers(units)} averages {numbers.value(record.dead_argument, 2)}{most}; the median of "
        f"all units is {numbers.value(record.middle, 2)}"
    ]


def _consequence(record: ActivationRecord) -> str:
    them, their = ("it", "its") if len(record.dead) == 1 else ("them", "their")
    if record.slope is not None:
        return f"no sample gives {them} more than {numbers.value(record.slope, 2)} of {their} gradient"
    return f"no sample gives {them} a gradient"


def _where(record: ActivationRecord) -> str:
    if record.function in ("tanh", "sigmoid"):
        return f"at the limits of {record.function}, where its derivative is 0 in this dtype,"
    return "below zero" if record.function in ("relu", "leaky relu") else "where it is flat"


def _helps(record: ActivationRecord) -> list[str]:
    if record.function in ("tanh", "sigmoid"):
        return layers.scale_helps(record)
    weight = record.weight
    known = weight is not None and weight.wanted_std is not None and not weight.normalised
    if weight is not None and known and weight.std == 0:
        return layers.scale_helps(record)
    helps = [
        "initialise the bias to 0 or slightly above, and lower the learning rate if they died during training"
    ]
    if weight is not None and weight.wanted_std is not None and weight.std > layers.MUCH * weight.wanted_std:
        helps += layers.scale_helps(record)
    return helps


RULE = Rule(__name__, __doc__, Severity.WARNING, check, looked_at=looked_at)
