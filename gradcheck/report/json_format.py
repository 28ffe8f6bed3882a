"""The JSON contract as text."""

import json

from gradcheck.report.model import Report


def render(report: Report) -> str:
    """One JSON object and a closing newline; strict JSON, without NaN."""
    return json.dumps(report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def parse(text: str) -> Report:
    return Report.from_dict(json.loads(text))
