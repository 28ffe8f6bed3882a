"""Faults of dataflow, planted into right networks of random shape: each is found where it stands, and nothing else."""

from __future__ import annotations

import re

import pytest

from gradcheck.report.model import Report
from tests.judge.test_random_configurations import planted, source, told
from tests.support import report_on_source

SEEDS = range(12)


def normalised(seed: int) -> tuple[list[str], int]:
    """The lines of a right network, and the number of its layer with a gain and a shift. 23 samples: no other axis is
    as long, so that what serves all samples is known for a parameter."""
    text, _ = source(planted(seed, 23))
    return text.splitlines(), int(re.findall(r"^dg(\d)", text, re.M)[-1])


def about_dataflow(report: Report) -> list[tuple[str, int]]:
    return [(f.rule, f.location.line) for f in report.findings if f.rule in ("GC103", "GC104", "GC105")]


@pytest.mark.parametrize("seed", SEEDS)
def test_two_gradients_in_the_wrong_order(seed: int) -> None:
    lines, i = normalised(seed)
    lines[-2] = lines[-2].replace(f"dg{i}, de{i}", f"de{i}, dg{i}")
    text = "\n".join(lines)
    report = report_on_source(text)
    assert about_dataflow(report) == [("GC104", len(lines))], told(report, text)
    assert not [f for f in report.findings if f.rule not in ("GC104", "GC302")], told(report, text)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_parameter_that_is_left_out(seed: int) -> None:
    lines, i = normalised(seed)
    lines[-2] = lines[-2].replace(f"g{i}, e{i}", f"g{i}").replace(f"dg{i}, de{i}", f"dg{i}")
    text = "\n".join(lines)
    report = report_on_source(text)
    line = next(n for n, shown in enumerate(lines, 1) if shown.startswith(f"de{i} ="))
    assert about_dataflow(report) == [("GC105", line)], told(report, text)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_layer_that_the_chain_skips(seed: int) -> None:
    lines, i = normalised(seed)
    made = next(n for n, shown in enumerate(lines) if shown.startswith(f"dz{i} ="))
    after = [re.sub(rf"\bdz{i}\b", f"da{i}", line) for line in lines[made + 1 :]]
    text = "\n".join([*lines[: made + 1], *after])
    report = report_on_source(text)
    assert about_dataflow(report) == [("GC103", made + 1)], told(report, text)
    skipped = report.passes[0].flow.skipped[0]
    assert {b.reads for b in skipped.bypassed_by} == {f"da{i}"}
    assert {b.name for b in skipped.bypassed_by} == {
        g.name for g in report.rows if g.verdict == "introduced"
    }, told(report, text)
