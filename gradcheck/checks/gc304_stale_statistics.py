"""GC304 stale-statistics: evaluation normalises with a mean or a variance that is not the layer's.

## What it does

Finds a mean or a variance that is computed after training, or updated during it, is used in place of the
batch statistic, and is not the statistic of that layer in the trained network. The parameters around it
identify the layer. Usually the calibration computes the value differently from training: without a
normalisation or an activation before it. The location is the line that computes the statistic.

Running statistics of which only some steps were recorded are not expected to have converged. The rule checks
what they converge to: the weights of the old value and of the batch value must add up to 1, and the
statistic must be that of one of the layers.

A mean or a variance that the training computed of its last minibatch, used after it, is a warning at the line
that uses it: the training is right to compute it, and another minibatch would have given another result.

## Why is this bad?

Training is right and the loss falls, but another network is evaluated and sampled from: its layers get
values that are shifted and scaled by the wrong numbers. The training loss does not show it.

## Example

```python
z1 = x @ W1
mean1, var1 = z1.mean(0), z1.var(0)
z2 = torch.tanh(z1) @ W2                  # without the normalisation that the training has here
mean2, var2 = z2.mean(0), z2.var(0)
```

## Use instead

```python
z1 = x @ W1
mean1, var1 = z1.mean(0), z1.var(0)
norm1 = (z1 - mean1) / (var1 + 1e-5).sqrt()
z2 = torch.tanh(gamma1 * norm1 + beta1) @ W2
mean2, var2 = z2.mean(0), z2.var(0)
```

## How it is measured

The forward pass of the recorded step is replayed, with the parameters after training, on the minibatches of
the sweep; the statistics are compared with the mean and variance of the layer's input over all of them. A
mean is compared in standard deviations of the layer (root mean square over the features), a variance by its
ratio (likewise, of the logarithms). Four standard errors for the number of rows behind the statistic are
allowed: a calibration on a part of the data is fine.

## References

- S. Ioffe and C. Szegedy, Batch Normalization, ICML 2015, section 3.1, https://arxiv.org/abs/1502.03167
"""

import math
from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.base.paths import picked
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.checks.wording import code, listing, place
from gradcheck.health.batch_norm.records import Statistic, StatisticsInUse
from gradcheck.health.evaluation.records import LastBatch
from gradcheck.program.location import Location

Case = tuple[StatisticsInUse, Statistic]
_WEIGHTS_OFF = 0.01  # from 1


def check(evidence: Evidence) -> Iterator[Finding]:
    off = (
        (statistic.location, (use, statistic))
        for use in evidence.health.batch_norm.in_use
        for statistic in use.statistics
        if _is_off(use, statistic, evidence)
    )
    for location, cases in grouped(off).items():
        yield _running(location, cases) if cases[0][1].weights is not None else _finding(location, cases)
    used = {found.location: found for run in evidence.health.evaluation.complete for found in run.last_batch}
    yield from map(_last_batch, used.values())


def _is_off(use: StatisticsInUse, statistic: Statistic, evidence: Evidence) -> bool:
    if statistic.weights is not None:
        return abs(statistic.weights - 1) > _WEIGHTS_OFF or statistic.of_layer != use.layer
    if statistic.offset is not None:
        return statistic.offset > max(evidence.thresholds["GC304.mean-offset"], statistic.allowed)
    if statistic.factor is None:
        return False
    limit = max(math.log(evidence.thresholds["GC304.variance-factor"]), statistic.allowed)
    return math.log(statistic.factor) > limit


def _looked(evidence: Evidence) -> Looked:
    health = evidence.health.batch_norm
    measured = [use for use in health.in_use if use.statistics]
    if measured:
        count = sum(len(use.statistics) for use in measured)
        return Looked(f"{numbers.count(count, 'statistic')} of {numbers.count(len(measured), 'layer')}")
    last = [found for run in evidence.health.evaluation.complete for found in run.last_batch]
    if last:
        return Looked(numbers.count(sum(len(found.names) for found in last), "statistic"))
    if health.in_use:
        return Looked(why_not=health.in_use[0].unmeasured)
    return Looked(why_not=health.in_use_absent)


def _finding(location: Location, cases: list[Case]) -> Finding:
    use, statistic = cases[0]
    notes = _used(location, cases)
    how = f": it is computed from {statistic.explained_by}" if statistic.explained_by else ""
    return RULE.finding(
        location=location,
        message=f"{code(statistic.name)} is not the {statistic.what} of {code(use.input)} in the trained network{how}",
        label=_label(statistic),
        expected=f"the {statistic.what} of the input of batch normalisation {use.layer} over the training data",
        found=_found(statistic),
        notes=notes,
        helps=[
            "compute it from the trained network: with every layer, normalisation and activation before it"
        ],
        evidence=picked(
            statistic,
            "statistic=name what computed_from difference=explained_by offset ratio factor worst allowed",
            **picked(use, "layer input source=source.value"),
        ),
    )


def _running(location: Location, cases: list[Case]) -> Finding:
    use, statistic = cases[0]
    name, what = code(statistic.name), statistic.what
    if statistic.of_layer != use.layer:
        of = f"batch normalisation {statistic.of_layer}"
        message = f"{name} follows the {what} of another layer than the one it is used at"
        label = f"the {what} of {code(statistic.of_input)}, {of}"
        expected = f"the {what} of batch normalisation {use.layer}, which it normalises"
        found = f"the {what} of {of}"
    else:
        weights = numbers.value(statistic.weights or 0.0)
        message = f"the running {what} {name} does not converge to the {what} of {code(use.input)}"
        label = f"the weights of the old value and of the batch's add up to {weights}"
        expected = "weights that add up to 1: `0.9 * running + 0.1 * batch`"
        found = f"weights that add up to {weights}"
    of_use = picked(use, "layer input source=source.value")
    return RULE.finding(
        location=location,
        message=message,
        label=label,
        expected=expected,
        found=found,
        notes=_used(location, cases),
        evidence=picked(statistic, "statistic=name what weights of_layer", **of_use),
    )


def _last_batch(found: LastBatch) -> Finding:
    shown = listing(found.names)
    several = len(found.names) > 1
    line = place(found.made_at, found.location)
    return RULE.finding(
        severity=Severity.WARNING,
        location=found.location,
        message=f"{shown} {'are' if several else 'is'} from the last minibatch of the training, not from its data",
        label=f"the training computes {'them' if several else 'it'} of one minibatch, on {line}",
        notes=[
            f"{line} is right for the training, which normalises each minibatch of {code(found.input)} by its own "
            "statistics; which samples came last is chance, and so is every result here"
        ],
        helps=[
            f"after the training, compute the mean and the variance of {code(found.input)} over all training data, and "
            "use these here",
            "or keep running ones in the training step: `running = 0.9 * running + 0.1 * batch`",
        ],
        evidence=picked(found, "statistics=names input", source="last minibatch"),
    )


def _used(location: Location, cases: list[Case]) -> list[str]:
    used_at = list(
        dict.fromkeys(place(use.location, location) for use, _ in cases if use.location is not None)
    )
    return [f"it normalises {code(cases[0][0].input)} on {' and '.join(used_at)}"] if used_at else []


def _label(statistic: Statistic) -> str:
    if statistic.offset is not None:
        return f"off by {numbers.value(statistic.offset, 2)} standard deviations of the layer"
    return f"off by a factor of {numbers.value(statistic.factor, 2)}, up or down, in a typical feature"


def _found(statistic: Statistic) -> str:
    if statistic.offset is not None:
        return (
            f"off by {numbers.value(statistic.offset)} of its standard deviations (root mean square over the features; "
            f"{numbers.value(statistic.worst)} in the worst)"
        )
    return (
        f"{numbers.value(statistic.ratio)} times as large (geometric mean over the features; "
        f"{numbers.value(statistic.worst)} times in the worst)"
    )


RULE = Rule(__name__, __doc__, Severity.ERROR, check, looked_at=_looked)
