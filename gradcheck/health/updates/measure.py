"""Measures the initial loss, the parameters and their updates."""

from __future__ import annotations

from gradcheck.health.context import ProgramContext
from gradcheck.health.records import Health
from gradcheck.health.updates.parameters import measure_parameters
from gradcheck.health.updates.records import UpdateHealth
from gradcheck.health.updates.written import Writings


def measure_updates(program: ProgramContext, health: Health) -> None:
    found = UpdateHealth("")
    judgement = program.judgement
    writings = Writings(judgement.recording, judgement.sources, judgement.places)
    for context in program.passes:
        measured = measure_parameters(context, writings)
        found.steps.append(measured.record)
    if not found.steps:
        found.absent = "no step could be replayed"
    health.updates = found
