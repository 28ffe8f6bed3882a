"""`LayerReport`: what `gradcheck.check_layer` returns, with every way to show it, and its JSON. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gradcheck.base.codec import decode, encode
from gradcheck.base.errors import GradientError
from gradcheck.layers import show
from gradcheck.layers.records import Failure, LayerResults
from gradcheck.report.model import Report


@dataclass(slots=True, repr=False)
class LayerReport(LayerResults):
    """What `gradcheck.check_layer` returns. A case that did not run has passed nothing."""

    def raise_for_errors(self) -> None:
        """Raises GradientError unless every gradient was judged, and is right."""
        __tracebackhide__ = True
        if self.exit_status:
            raise GradientError(show.text(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {show.headline(self)}>"

    def __str__(self) -> str:
        return show.text(self)

    def to_markdown(self) -> str:
        return show.markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the JSON of `gradcheck layer --format json`."""
        return {
            "schema": 1,
            "version": self.version,
            "target": self.target,
            "seed": self.seed,
            "exit_status": self.exit_status,
            "summary": self.summary,
            "cases": encode(self.cases),
            "failures": [
                encode(replace(each, report=None)) | {"report": each.report and each.report.to_dict()}
                for each in self.failures
            ],
            "never_judged": self.never_judged,
            "written": encode(self.written),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LayerReport:
        report = decode(cls, data | {"failures": []})
        for row in data["failures"]:
            failure = decode(Failure, row | {"report": None})
            failure.report = row["report"] and Report.from_dict(row["report"])
            report.failures.append(failure)
        return report
