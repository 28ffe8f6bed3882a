"""GC304 stale-statistics: evaluation normalises with statistics that are not those of the layer."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradcheck import numbers
from gradcheck.checks.evidence import Evidence
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Looked, Rule
from gradcheck.checks.wording import code, place
from gradcheck.health.batch_norm.records import Statistic, StatisticsInUse
from gradcheck.program.location import Location
from gradcheck.thresholds import STALE_MEAN, STALE_VARIANCE

Case = tuple[StatisticsInUse, Statistic]


def check(evidence: Evidence) -> Iterator[Finding]:
    grouped: dict[Location, list[Case]] = {}
    for use in evidence.health.batch_norm.in_use:
        for statistic in use.statistics:
            if _is_off(statistic, evidence):
                grouped.setdefault(statistic.location, []).append((use, statistic))
    for location, cases in grouped.items():
        yield _finding(location, cases)


def _is_off(statistic: Statistic, evidence: Evidence) -> bool:
    if statistic.offset is not None:
        return statistic.offset > max(evidence.thresholds[STALE_MEAN], statistic.allowed)
    if statistic.ratio is None or statistic.ratio <= 0:
        return False
    limit = max(math.log(evidence.thresholds[STALE_VARIANCE]), statistic.allowed)
    return abs(math.log(statistic.ratio)) > limit


def _looked(evidence: Evidence) -> Looked:
    health = evidence.health.batch_norm
    measured = [use for use in health.in_use if use.statistics]
    if measured:
        count = sum(len(use.statistics) for use in measured)
        return Looked(f"{numbers.count(count, 'statistic')} used in {numbers.count(len(measured), 'place')}")
    if health.in_use:
        return Looked(why_not=health.in_use[0].unmeasured)
    return Looked(why_not=health.in_use_absent)


def _finding(location: Location, cases: list[Case]) -> Finding:
    use, statistic = cases[0]
    used_at = list(dict.fromkeys(place(one.location, location) for one, _ in cases))
    notes = [f"it normalises {code(use.input)} on {' and '.join(used_at)}"]
    if statistic.explained_by:
        notes.insert(0, f"{code(statistic.computed_from)} is computed here by {statistic.explained_by}")
    how = f": it is computed from {statistic.explained_by}" if statistic.explained_by else ""
    return Finding(
        rule=RULE.code,
        name=RULE.name,
        severity=RULE.severity,
        location=location,
        message=f"{code(statistic.name)} is not the {statistic.what} of {code(use.input)} in the trained network{how}",
        label=_label(statistic),
        expected=f"the {statistic.what} of the input of batch normalisation {use.layer} over the training data",
        found=_found(statistic),
        notes=notes,
        helps=[
            "compute it from the very network that is trained: every layer, normalisation and activation in front of it"
        ],
        evidence={
            "statistic": statistic.name,
            "what": statistic.what,
            "layer": use.layer,
            "input": use.input,
            "computed_from": statistic.computed_from,
            "difference": statistic.explained_by,
            "offset": statistic.offset,
            "ratio": statistic.ratio,
            "worst": statistic.worst,
            "allowed": statistic.allowed,
            "source": use.source.value,
        },
    )


def _label(statistic: Statistic) -> str:
    if statistic.offset is not None:
        return f"off by {numbers.value(statistic.offset, 2)} standard deviations of the layer"
    return f"{numbers.value(statistic.ratio, 2)} times the variance of the layer"


def _found(statistic: Statistic) -> str:
    if statistic.offset is not None:
        return (
            f"off by {numbers.value(statistic.offset)} of its standard deviations (root mean square over the features; "
            f"{numbers.value(statistic.worst)} in the worst)"
        )
    return (
        f"{numbers.value(statistic.ratio)} times as large (geometric mean over the features; "
        f"{numbers.value(statistic.worst)} in the worst)"
    )


RULE = Rule(
    code="GC304",
    name="stale-statistics",
    severity=Severity.ERROR,
    summary="evaluation normalises with a mean or a variance that is not the layer's",
    what_it_does="""\
Finds a mean or a variance that is computed after the training, or moved along in it, and used in the place of that of a
batch, and that is not the statistic of that layer in the trained network. The layer it is used for is told by the
parameters around it. Usually the calibration computes the value in another way than the training does: without a
normalisation or an activation in front of it. The finding stands at the line that computes the statistic.

Running statistics of which only some steps were recorded are not expected to have arrived. What is looked at is where
they go: the weights of the old value and of the batch's must add up to 1, and the statistic must be that of one of the
layers.""",
    why_is_this_bad="""\
The training is right, the loss falls, and what is evaluated and sampled from is another network: its layers see values
that are shifted and scaled by wrong numbers. The training loss tells nothing of it.""",
    example="""\
z1 = x @ W1
mean1, var1 = z1.mean(0), z1.var(0)
z2 = torch.tanh(z1) @ W2                  # without the normalisation that the training has here
mean2, var2 = z2.mean(0), z2.var(0)""",
    use_instead="""\
z1 = x @ W1
mean1, var1 = z1.mean(0), z1.var(0)
norm1 = (z1 - mean1) / (var1 + 1e-5).sqrt()
z2 = torch.tanh(gamma1 * norm1 + beta1) @ W2
mean2, var2 = z2.mean(0), z2.var(0)""",
    how_it_is_measured="""\
The forward pass of the recorded step is replayed, with the parameters as the training left them, on the minibatches of the
sweep; the mean and variance of the layer's input over all of them are what the statistics are held against. A mean
is compared in standard deviations of the layer (root mean square over the features), a variance as a ratio
(geometric mean). Four standard errors of a mean of as many rows as the statistic was taken of are always allowed:
a calibration on a part of the data is fine.""",
    references=(
        "S. Ioffe and C. Szegedy, Batch Normalization, ICML 2015, section 3.1, https://arxiv.org/abs/1502.03167",
    ),
    check=check,
    looked_at=_looked,
    thresholds=(STALE_MEAN, STALE_VARIANCE),
)
