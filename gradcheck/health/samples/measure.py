"""Reads the generated sequences of a program and holds them against its training data."""

from __future__ import annotations

from gradcheck.health.context import ProgramContext
from gradcheck.health.records import Health
from gradcheck.health.samples.records import SampleHealth


def measure_samples(program: ProgramContext, health: Health) -> None:
    health.samples = SampleHealth("not measured yet")
