"""Which variants are trained, and what their losses say of each component."""

from __future__ import annotations

import math

import pytest

from gradcheck.isolation.experiment import (
    ExperimentOptions,
    shapley_values,
    subsets,
    wanted_variants,
)
from gradcheck.isolation.parallel import _chunks
from gradcheck.isolation.records import SwitchableLayer
from gradcheck.isolation.tasks import Outcome
from tests.isolation.made import experiment_of, gradient, isolation, place

A, B, C = gradient("dA", 1), gradient("dB", 2), gradient("dC", 3)
NAN = float("nan")


def test_every_subset_is_trained_of_few_components_the_most_telling_first() -> None:
    found = wanted_variants("abc")
    assert found[0] == set()
    assert found[1] == set("abc")
    assert [len(chosen) for chosen in found] == [0, 3, 1, 1, 1, 2, 2, 2]
    assert len(wanted_variants("abcdef")) == 64


def test_of_many_components_each_is_trained_alone_and_left_out_alone() -> None:
    assert len(wanted_variants("abcdefg")) == 2 + 7 + 7


def test_every_seed_of_a_variant_trains_the_same_program() -> None:
    experiment = experiment_of([A, B], ExperimentOptions(3, 10))
    assert len(experiment.tasks) == 4 * 3
    for chosen, places in experiment.places.items():
        tasks = [experiment.tasks[i] for i in places]
        assert [task.seed for task in tasks] == [1, 2, 3]
        assert {task.gradients for task in tasks} == {
            tuple(key for c in (A, B) if c.key in chosen for key in c.gradients)
        }
    assert len({task.key for task in experiment.tasks}) == len(experiment.tasks)


def test_shares_add_up_to_the_whole_gain_and_are_fair() -> None:
    losses = {frozenset(s): 1.0 / (1 + len(s)) + 0.1 * ("a" in s) for s in subsets("abc")}
    shares = shapley_values("abc", losses.__getitem__)
    assert sum(shares.values()) == pytest.approx(losses[frozenset()] - losses[frozenset("abc")])
    assert shares["b"] == pytest.approx(shares["c"])
    assert shares["a"] == pytest.approx(shares["b"] - 0.1)


def test_gains_are_those_of_the_same_seeds() -> None:
    found = isolation(
        {(): [3.0, 4.0], ("dA",): [2.5, 3.4], ("dB",): [2.9, 4.0], ("dA", "dB"): [2.0, 3.0]}, A, B
    )
    first, second = found.costs
    assert (first.key, second.key) == ("dA", "dB")
    assert first.alone == pytest.approx(0.55)
    assert first.alone_spread == pytest.approx(0.05 * math.sqrt(2))
    assert first.last == pytest.approx((0.9 + 1.0) / 2)
    assert first.share is not None
    assert second.share is not None
    assert first.share + second.share == pytest.approx(1.0)


def test_what_diverged_has_no_loss_and_no_gain() -> None:
    found = isolation({(): [3.0, NAN], ("dA",): [2.0, 2.0]}, A)
    assert found.as_written is not None
    assert (found.as_written.loss, found.as_written.diverged) == (None, 1)
    assert found.costs[0].worth is None
    assert found.all_repaired is not None
    assert found.all_repaired.loss == 2.0


def test_an_interrupted_experiment_keeps_what_is_done() -> None:
    found = isolation({(): [3.0, 4.0], ("dA", "dB"): [2.0]}, A, B)
    assert (found.done, found.wanted, found.finished) == (3, 8, False)
    assert [variant.seeds for variant in found.variants] == [[1, 2], [1]]
    assert all(cost.share is None for cost in found.costs)


def test_a_variant_that_failed_says_why() -> None:
    experiment = experiment_of([A], ExperimentOptions(1, 10))
    experiment.outcomes = {0: Outcome(1.0, None, [1.0]), 1: Outcome(error="it cannot be")}
    found = experiment.result()
    assert found.all_repaired is not None
    assert (found.all_repaired.error, found.all_repaired.loss) == ("it cannot be", None)


def test_on_a_right_program_all_gradients_are_replaced_to_see_that_nothing_changes() -> None:
    experiment = experiment_of([], ExperimentOptions(2, 10))
    assert [task.all_gradients for task in experiment.tasks] == [False, False, True, True]
    for number, loss in enumerate([1.0, 2.0, 1.0, 2.002]):
        experiment.outcomes[number] = Outcome(loss, None, [loss] * 10)
    assert experiment.result().difference == pytest.approx(0.001, rel=0.01)


def test_layers_are_held_against_the_network_with_all_of_them() -> None:
    layer = SwitchableLayer(0, 2, "h2", place(5))
    experiment = experiment_of([A], ExperimentOptions(1, 10), [layer])
    for number, task in enumerate(experiment.tasks):
        loss = 5.0 if not task.all_gradients else 1.0 if task.without is None else 0.75
        experiment.outcomes[number] = Outcome(loss, None, [loss])
    (cost,) = experiment.result().layers
    assert (cost.number, cost.network, cost.loss, cost.with_all, cost.saves) == (
        2,
        "as written",
        0.75,
        1.0,
        -0.25,
    )


def test_no_worker_is_left_idle_by_a_variant_of_many_seeds() -> None:
    experiment = experiment_of([], ExperimentOptions(24, 10))
    tasks = dict(enumerate(experiment.tasks))
    chunks = _chunks(tasks, 2)
    assert [number for chunk in chunks for number, _ in chunk] == list(tasks)
    assert len(chunks) >= 8
    assert all(len({(task.gradients, task.all_gradients) for _, task in chunk}) == 1 for chunk in chunks)
