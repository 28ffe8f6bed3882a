"""Every figure of a report."""

from __future__ import annotations

from gradcheck.base.extras import is_installed
from gradcheck.report.contents import ReportContents
from gradcheck.report.figures import activations, batch_norm, isolation, samples, updates
from gradcheck.report.figures.drawing import Picture


def report_pictures(report: ReportContents) -> list[Picture]:
    """In the order in which a report shows them; none without matplotlib."""
    if not is_installed("matplotlib"):
        return []
    return [
        *activations.pictures(report.health.activations),
        *batch_norm.pictures(report.health.batch_norm),
        *updates.pictures(report.health.updates),
        *samples.pictures(report.health.samples),
        *(() if report.isolation is None else isolation.pictures(report.isolation)),
    ]
