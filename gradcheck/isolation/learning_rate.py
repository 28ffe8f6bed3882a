"""Another learning rate as a component. It is an experiment and not a repair: nothing proves the number."""

from __future__ import annotations

from collections.abc import Iterable

from gradcheck.base import numbers
from gradcheck.checks import gc402_update_to_data_ratio as gc402
from gradcheck.checks.finding import Finding
from gradcheck.health.updates.records import LearningRate, UpdateHealth
from gradcheck.isolation.records import Component, ComponentKind, Edit


def learning_rate_component(
    findings: Iterable[Finding], health: UpdateHealth, pass_index: int
) -> Component | None:
    """Where GC402 finds the steps far off, and the source says in one place what the learning rate is."""
    for finding in findings:
        goal = finding.evidence.get("recommended_learning_rate")
        if finding.rule != gc402.RULE.code or not isinstance(goal, float):
            continue
        if pass_index not in finding.evidence.get("passes", ()):
            continue
        rate = _rate(health, finding, pass_index)
        if rate is None or rate.literal is None:
            continue
        text = numbers.value(goal, 2)
        name = rate.text if rate.text.isidentifier() else "learning rate"
        what = f"an experiment, not a repair: {text} instead of {numbers.value(rate.value)}, as {finding.rule} suggests"
        return Component(
            name,
            ComponentKind.EDIT,
            what,
            rate.literal,
            (finding.rule,),
            edits=(Edit(rate.literal, text),),
            verified=False,
        )
    return None


def _rate(health: UpdateHealth, finding: Finding, pass_index: int) -> LearningRate | None:
    """The one that all the weights of the step have, if they have the same."""
    rates = {
        weights.learning_rate
        for step in health.steps
        if step.pass_index == pass_index or step.iteration == finding.evidence.get("iteration")
        for weights in step.weights
    }
    rate = rates.pop() if len(rates) == 1 else None
    return rate if rate is not None and rate.value == finding.evidence.get("learning_rate") else None
