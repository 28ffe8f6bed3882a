"""The numbers about lengths, on lists small enough to count by hand."""

from __future__ import annotations

import pytest

from gradcheck.health.samples import statistics
from gradcheck.health.samples.records import Lengths


def test_lengths_know_their_quantiles_and_shares() -> None:
    lengths = Lengths("", statistics.counts_of([0, 2, 2, 5]))
    assert lengths.counts == [1, 0, 2, 0, 0, 1]
    assert (lengths.count, lengths.mean, lengths.longest) == (4, 2.25, 5)
    assert [lengths.quantile(q) for q in (0.0, 0.25, 0.5, 0.75, 1.0)] == [0, 0, 2, 2, 5]
    assert [lengths.share(i) for i in (0, 1, 2, 9)] == [0.25, 0.0, 0.5, 0.0]


def test_the_same_lengths_do_not_differ_and_others_do() -> None:
    data = [3, 4, 4, 5, 5, 5, 6, 6, 7] * 20
    same = statistics.difference(data[:45], data)
    assert same.p_value > 0.5
    other = statistics.difference([0] * 20, data)
    assert other.kolmogorov_smirnov == 1.0
    assert other.wasserstein == pytest.approx(5.0)
    assert other.p_value < 1e-6


def test_a_constant_probability_of_the_end_gives_a_geometric_length() -> None:
    implied = statistics.implied_lengths([0.25])
    assert implied[:3] == pytest.approx([0.25, 0.1875, 0.140625])
    assert sum(implied) == pytest.approx(1.0)
    assert statistics.mean_length(implied) == pytest.approx(3.0)


def test_the_distance_of_two_distributions_is_the_largest_of_their_sums() -> None:
    assert statistics.distance([0.5, 0.5], [0.0, 0.5, 0.5]) == pytest.approx(0.5)
    assert statistics.distance([0.5, 0.5], [0.5, 0.5]) == 0.0


def test_what_is_cut_off_says_nothing_of_where_it_would_have_ended() -> None:
    # Two of three end at 1; one is cut off there.
    assert statistics.end_shares([1, 1, 2], [1]) == [(4, 0.0), (3, pytest.approx(2 / 3)), (1, 1.0)]


def test_how_many_different_ones_a_draw_holds() -> None:
    assert statistics.expected_distinct(["a"], 10) == 1.0
    assert statistics.expected_distinct(["a", "b"], 2) == pytest.approx(1.5)


def test_repetition_takes_three() -> None:
    assert statistics.is_repetition("aaa")
    assert not statistics.is_repetition("aa")
    assert not statistics.is_repetition("aab")
