"""Holds the code that evaluates and samples against the training step."""

from __future__ import annotations

from gradcheck.health.context import ProgramContext
from gradcheck.health.evaluation.records import EvaluationHealth
from gradcheck.health.records import Health


def measure_evaluation(program: ProgramContext, health: Health) -> None:
    health.evaluation = EvaluationHealth("not measured yet")
