"""Healthy networks of random make raise nothing at error level, and no warning that is certain to be wrong."""

from __future__ import annotations

import pytest

from gradcheck.checks.finding import Severity
from tests.health.random_networks import configuration, program
from tests.support import report_on_source

CONFIGURATIONS = 24


@pytest.mark.parametrize("seed", range(CONFIGURATIONS))
def test_no_error(seed: int) -> None:
    net = configuration(seed)
    text = program(net)
    report = report_on_source(text, at=(net.iterations - 1,), sweep=8)
    wrong = [(f.rule, f.location.line, f.message) for f in report.findings if f.severity is Severity.ERROR]
    assert not wrong, f"{net}\n{text}"
    assert not report.health.notes
    assert {g.verdict for g in report.rows} <= {"correct", "unobservable"}, text
