"""Every figure of a report."""

from __future__ import annotations

from gradcheck.base.extras import is_installed
from gradcheck.health.records import Health
from gradcheck.report.contents import ReportContents
from gradcheck.report.figures import activations, batch_norm, isolation, samples, updates
from gradcheck.report.figures.drawing import Picture


def report_pictures(report: ReportContents) -> list[Picture]:
    """In the order in which a report shows them; none without matplotlib."""
    if not is_installed("matplotlib"):
        return []
    curves = [] if report.isolation is None else list(isolation.pictures(report.isolation))
    return [*health_pictures(report.health), *curves]


def health_pictures(health: Health) -> list[Picture]:
    """In the order in which a report shows them; none without matplotlib."""
    if not is_installed("matplotlib"):
        return []
    return [
        *activations.pictures(health.activations),
        *batch_norm.pictures(health.batch_norm),
        *updates.pictures(health.updates),
        *samples.pictures(health.samples),
    ]
