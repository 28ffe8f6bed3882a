"""Measures the initial loss, the parameters and their updates."""

from __future__ import annotations

from gradcheck.health.context import ProgramContext
from gradcheck.health.network.linear import linear_layers
from gradcheck.health.records import Health
from gradcheck.health.updates.initial_loss import initial_loss, is_first
from gradcheck.health.updates.parameters import measure_parameters
from gradcheck.health.updates.records import UpdateHealth
from gradcheck.health.updates.symmetry import symmetric_layers
from gradcheck.health.updates.written import Writings


def measure_updates(program: ProgramContext, health: Health) -> None:
    found = UpdateHealth("")
    judgement = program.judgement
    writings = Writings(judgement.recording, judgement.sources, judgement.places)
    first = False
    for context in program.passes:
        step, parameters = measure_parameters(context, writings)
        found.steps.append(step)
        ops = context.judged.plan.forward_ops
        layers = linear_layers(ops, [parameter.value for parameter in parameters])
        hidden, symmetric = symmetric_layers(context, layers, writings)
        found.layers = max(found.layers, hidden)
        found.symmetric += symmetric
        if is_first(context):
            first = True
            loss = initial_loss(context, step, layers, writings)
            if loss is not None:
                found.initial_losses.append(loss)
    if not found.steps:
        found.absent = "no step could be replayed"
    elif not found.initial_losses:
        found.no_loss = "the first step of the training was not recorded"
        if first:
            found.no_loss = "the loss is no softmax cross-entropy"
    health.updates = found
