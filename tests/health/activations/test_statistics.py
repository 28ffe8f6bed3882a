"""Sums over minibatches are those of all numbers at once; dead units by chance; trends; tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gradcheck.graph.match.functions import Nonlinearity, recognise
from gradcheck.health.activations import statistics
from gradcheck.health.activations.records import ActivationHealth, ActivationRecord
from gradcheck.health.activations.statistics import (
    LayerStatistics,
    Limits,
    dead_by_chance,
    distances,
    gain,
    histogram_of,
    off,
)
from gradcheck.health.activations.trend import trend_of
from gradcheck.program.location import Location
from gradcheck.report.model import Report
from tests.health.activations.programs import network
from tests.support import report_on_source

LIMITS = Limits(0.97, 9.5)
PLACE = Location("program.py", None, 3, 3, 1, 9)


@pytest.mark.parametrize("together", [1, 1 << 20])
def test_minibatches_are_counted_as_if_they_were_one(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_TOGETHER", together)
    torch.manual_seed(0)
    arguments = [3 * torch.randn(8, 5) + 1 for _ in range(7)]
    found = LayerStatistics(Nonlinearity.TANH, -1, LIMITS)
    for argument in arguments:
        found.add(torch.tanh(argument), argument)
    found.flush()
    z = torch.cat(arguments).double()
    a = torch.tanh(z)
    mean, std = found.mean_and_std()
    assert mean == pytest.approx(float(a.mean()), rel=1e-5)
    assert std == pytest.approx(float(a.std(correction=0)), rel=1e-5)
    unit_argument = found.unit_argument()
    assert unit_argument is not None
    assert unit_argument[1].tolist() == pytest.approx(z.std(0, correction=0).tolist(), rel=1e-5)
    assert found.saturated is not None
    assert found.saturated.tolist() == (a.abs() > 0.97).sum(0).tolist()
    assert found.beyond == int((z.abs() > 9.5).sum())
    histogram = found.histogram()
    assert len(histogram.counts) == 50
    assert sum(histogram.counts) == z.numel()
    assert (histogram.edges[0], histogram.edges[-1]) == (-1.0, 1.0)


def test_later_minibatches_out_of_range_are_counted_at_the_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_TOGETHER", 1)
    found = LayerStatistics(Nonlinearity.RELU, -1, LIMITS)
    found.add(torch.tensor([[0.0, 1.0]]), None)
    found.add(torch.tensor([[0.5, 9.0]]), None)
    assert sum(found.histogram().counts) == 4
    assert found.histogram().counts[-1] == 2


def test_units_along_another_axis() -> None:
    found = LayerStatistics(Nonlinearity.RELU, -3, LIMITS)
    images = torch.randn(4, 3, 5, 5)
    images[:, 1] = -1
    found.add(images.relu(), images)
    found.flush()
    assert found.off is not None
    assert found.off.shape == (3,)
    assert int(found.off[1]) == found.count == 100


@pytest.mark.parametrize("numbers", [torch.full((9,), 2.0), torch.zeros(9), torch.tensor([float("nan")] * 3)])
def test_a_histogram_of_one_number(numbers: torch.Tensor) -> None:
    histogram = histogram_of(numbers)
    assert histogram.edges[0] < histogram.edges[-1]
    assert sum(histogram.counts) in (0, 9)


@pytest.mark.parametrize("function", [f for f in Nonlinearity if f not in ("other", "softsign")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_off_is_where_the_derivative_is_nothing(function: Nonlinearity, dtype: torch.dtype) -> None:
    """Never where there is a derivative to be seen; and it is found somewhere."""
    z = torch.linspace(-60, 60, 4801, dtype=torch.float64, requires_grad=True)
    compute: Any = {
        "leaky relu": torch.nn.functional.leaky_relu,
        "relu6": torch.nn.functional.relu6,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
    }.get(function.value) or getattr(torch.nn.functional, function.value)
    y = compute(z)
    (derivative,) = torch.autograd.grad(y.sum(), z)
    known = recognise(z.detach(), y.detach())
    assert known is not None
    assert known.function is function
    found = off(function, y.detach().to(dtype), z.detach().to(dtype))
    assert found is not None
    assert bool(found.any())
    limit = 0.0101 if function is Nonlinearity.LEAKY_RELU else 2 * torch.finfo(dtype).eps
    inner = (z.abs() > 1e-6) & ((z - 6).abs() > 1e-6) & ((z.abs() - 1).abs() > 1e-6)  # not at a bend
    assert float(derivative[found & inner].abs().max()) <= limit


def test_gains_are_those_of_torch() -> None:
    for function, name in (("tanh", "tanh"), ("relu", "relu"), ("selu", "selu"), ("sigmoid", "sigmoid")):
        assert gain(Nonlinearity(function), 0.0) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert gain(Nonlinearity.LEAKY_RELU, 0.2) == pytest.approx(
        torch.nn.init.calculate_gain("leaky_relu", 0.2)
    )


def test_what_random_weights_leave_dead() -> None:
    """Of two positive inputs, the weights are both negative for a quarter; of centred ones none is."""
    torch.manual_seed(0)
    assert dead_by_chance([torch.rand(500, 2) + 1e-3]) == pytest.approx(0.25, abs=0.08)
    assert dead_by_chance([torch.randn(500, 2)]) == 0.0


def test_chance_is_asked_without_touching_the_random_numbers_of_the_process() -> None:
    inputs = torch.rand(50, 2)
    before = torch.get_rng_state()
    dead_by_chance([inputs])
    assert torch.equal(torch.get_rng_state(), before)


def test_how_far_a_unit_lies_from_the_others() -> None:
    torch.manual_seed(0)
    means = torch.randn(200)
    means[3] = -50
    far = distances(means, torch.ones(200))
    assert far.argmax() == 3
    assert far[3] > 20
    assert sorted(far.tolist())[-2] < 3


# -- trends ----------------------------------------------------------------------------------------------------------


def record(layer: int, norm: float | None, function: str = "tanh", hidden: bool = True) -> ActivationRecord:
    return ActivationRecord(
        0, 0, layer, 9, layer, f"h{layer}", "", function, PLACE, hidden=hidden, gradient_norm=norm
    )


def test_the_factor_is_per_layer_and_towards_the_input() -> None:
    records = [record(i, 10.0**i) for i in range(1, 5)]
    after = [frozenset(), frozenset({0}), frozenset({1}), frozenset({2})]
    trend, _ = trend_of(records, after)
    assert trend is not None
    assert trend.factor == pytest.approx(0.1)
    assert trend.total == pytest.approx(1e-3)
    assert trend.layers == [1, 2, 3, 4]


def test_layers_side_by_side_are_no_trend() -> None:
    records = [record(i, 10.0**i) for i in range(1, 5)]
    trend, why_none = trend_of(records, [frozenset()] * 4)
    assert trend is None
    assert "one after the other" in why_none


def test_the_prediction_and_layers_of_another_kind_are_left_out() -> None:
    records = [record(1, 1.0), record(2, 1.0, "relu"), record(3, 2.0), record(4, 4.0)]
    records.append(record(5, 1e9, "sigmoid", hidden=False))
    after = [frozenset[int](), *(frozenset({i}) for i in range(4))]
    trend, _ = trend_of(records, after)
    assert trend is not None
    assert trend.layers == [1, 3, 4]


@pytest.mark.parametrize("norm", [0.0, float("nan"), None])
def test_a_layer_without_a_usable_gradient_leaves_no_trend(norm: float | None) -> None:
    records = [record(1, 1.0), record(2, norm), record(3, 1.0)]
    assert trend_of(records, [frozenset(), frozenset({0}), frozenset({1})])[0] is None


# -- records and tables ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def a_report() -> Report:
    return report_on_source(network("relu", depth=3, width=20), select=("GC2",), sweep=6)


def test_the_gradient_is_the_true_one(a_report: Report) -> None:
    """Of the last layer it is what the program computed by hand."""
    last = a_report.health.activations.layers[-1]
    assert last.gradient_norm is not None
    assert last.gradient_std is not None
    assert last.gradient_norm == pytest.approx((32 * 20) ** 0.5 * last.gradient_std, rel=0.05)
    assert sum(last.gradient_histogram.counts) == 32 * 20
    assert len(last.map) == 32
    assert {len(row) for row in last.map} == {20}
    share = sum(row.count("#") for row in last.map) / (32 * 20)
    assert last.off == pytest.approx(share, abs=0.1)


def test_tables_have_a_row_for_every_layer(a_report: Report) -> None:
    table = {t.name: t for t in a_report.tables}["activations"]
    headings, rows = table.shown()
    assert len(rows) == 3
    assert all(len(row) == len(headings) for row in rows)
    frame = a_report.to_dataframe("activations")
    assert frame["function"].tolist() == ["relu"] * 3
    assert len(a_report.to_dataframe("gradient_trend")) == 1


def test_a_report_that_was_written_reads_the_same(a_report: Report, tmp_path: Path) -> None:
    again = Report.from_dict(a_report.to_dict())
    assert isinstance(again.health.activations, ActivationHealth)
    assert again.health.activations == a_report.health.activations
