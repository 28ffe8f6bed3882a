"""The findings of the two rules about gradients that shrink or grow from layer to layer: one shape, two directions."""

from collections.abc import Callable, Iterator

from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.base.paths import picked
from gradcheck.checks.activation_wording import MUCH, called, rescaled
from gradcheck.checks.finding import Finding
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.health.activations.records import ActivationRecord, GradientTrend


def trends_looked_at(evidence: Evidence) -> Looked:
    health = evidence.health.activations
    if health.absent or not health.trends:
        return Looked(why_not=health.absent or health.no_trend)
    most = max(health.trends, key=lambda trend: len(trend.layers))
    return Looked(f"{numbers.count(len(most.layers), 'layer')} of {most.function} one after the other")


def trend_findings(evidence: Evidence, rule: Rule, bad: Callable[[GradientTrend], bool]) -> Iterator[Finding]:
    """One for every line, of the recorded step at which it is the worst."""
    found = ((_records(evidence, trend), trend) for trend in evidence.health.activations.trends if bad(trend))
    for trends in grouped((records[0].location, trend) for records, trend in found if records).values():
        worst = max(trends, key=lambda trend: max(trend.total, 1 / trend.total))
        yield _finding(evidence, rule, worst, trends)


def _finding(evidence: Evidence, rule: Rule, trend: GradientTrend, same: list[GradientTrend]) -> Finding:
    records = _records(evidence, trend)
    layers = evidence.health.activations.layers
    first, last = called(records[0], layers), called(records[-1], layers)
    grows = trend.factor > 1
    verb = "grows" if grows else "shrinks"
    notes = [f"its norm, from the last layer back to the first: {', '.join(_shortened(trend.norms[::-1]))}"]
    iterations = sorted({t.iteration for t in same if t.iteration is not None})
    if len(iterations) > 1:
        notes.append(
            f"the same at iterations {', '.join(map(str, iterations))}; the figures are of iteration {trend.iteration}"
        )
    return rule.finding(
        location=records[0].location,
        message=f"the gradient {verb} by a factor of {numbers.value(trend.factor, 2)} per layer from {last} "
        f"to {first}",
        label=f"here it is {numbers.value(trend.total, 2)} times what it is at {last}",
        notes=notes,
        helps=_helps(records, grows),
        evidence=picked(
            trend, "function norms factor total iteration", layers=[record.name for record in records]
        ),
    )


def _helps(records: list[ActivationRecord], grows: bool) -> list[str]:
    """The first layer's weight is not between two layers of the trend."""
    helps = []
    for record in records[1:]:
        weight = record.weight
        if weight is None or not weight.wanted_std or weight.normalised:
            continue
        ratio = weight.wanted_std / weight.std if weight.std else float("inf")
        if (ratio < 1 / MUCH) if grows else (ratio > MUCH):
            helps.append(rescaled(record, weight, ratio, records[0].location))
    if len(helps) > 3:
        helps = [*helps[:2], f"and the same for {len(helps) - 2} more layers"]
    if helps:
        return helps
    if not grows and records[0].function == "sigmoid":
        return ["the derivative of a sigmoid is at most 1/4: use tanh or relu in the hidden layers"]
    return ["normalise between the layers, or use residual connections"]


def _records(evidence: Evidence, trend: GradientTrend) -> list[ActivationRecord]:
    of_step = {
        record.layer: record
        for record in evidence.health.activations.layers
        if record.pass_index == trend.pass_index
    }
    return [of_step[layer] for layer in trend.layers if layer in of_step]


def _shortened(norms: list[float], most: int = 8) -> list[str]:
    shown = [numbers.value(norm, 2) for norm in norms]
    return shown if len(shown) <= most else [*shown[: most - 2], "...", shown[-1]]
