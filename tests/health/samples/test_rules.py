"""Small programs that sample from a network they trained: right ones, and one fault at a time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from programs import CATEGORICAL, ONE_TOKEN, SAMPLER, SIDE_BY_SIDE, TRAINED, program

from gradcheck.checks.registry import State
from gradcheck.report.model import Report
from tests.support import report_on_source

HIDDEN = "torch.tanh(C[torch.tensor([context])].view(1, -1) @ W1 + b1)"
RULES = ("GC601", "GC602", "GC603")


def report(text: str, at: tuple[int, ...] = (TRAINED,), **options: Any) -> Report:
    return report_on_source(text, at=at, select=("GC6",), **options)


def states(made: Report) -> dict[str, State]:
    return {check.rule: check.state for check in made.checks if check.rule in RULES}


def reasons(made: Report) -> dict[str, str]:
    return {check.rule: check.reason for check in made.checks if check.rule in RULES}


def only(made: Report, rule: str) -> Any:
    assert [finding.rule for finding in made.findings] == [rule]
    return made.findings[0]


@pytest.mark.parametrize(
    "sampler", [SAMPLER, SIDE_BY_SIDE, CATEGORICAL], ids=["loop", "columns", "categorical"]
)
def test_a_right_sampler_is_looked_at_and_passed(sampler: str) -> None:
    made = report(program(sampler))
    assert made.findings == []
    assert set(states(made).values()) == {State.PASSED}
    (found,) = made.health.samples.sets
    assert (found.count, found.end_token) == (40, "'.'")
    assert found.data is not None
    assert found.data.count == 400
    assert "`X` and `Y`" in found.data.source
    # It is the very network that was trained, so what it gives is the same but for rounding.
    assert found.network is not None
    assert found.network.total_variation < 1e-6
    assert found.copies is not None
    assert 0 < found.copies < 0.5


def test_contexts_of_one_token_parameters_bound_anew_and_a_loss_of_ones_own() -> None:
    made = report(ONE_TOKEN, at=(300,))
    assert made.findings == []
    (found,) = made.health.samples.sets
    assert found.data is not None
    assert found.data.count == 300
    assert found.training.loss is not None
    assert 0.2 < found.training.loss < 0.6  # only after `b` and at the end of it is there a choice
    assert found.network is not None
    assert found.network.total_variation < 1e-6


def test_samples_held_by_a_name() -> None:
    made = report(program(), samples="made_up")
    assert made.findings == []
    (found,) = made.health.samples.sets
    assert found.source == "held by `made_up`"
    assert found.location.line == program().splitlines().index("made_up = []") + 1
    drawn = report(program()).health.samples.sets[0]
    assert found.lengths.counts == drawn.lengths.counts
    assert found.copies == drawn.copies


def test_a_name_that_is_not_there() -> None:
    made = report(program(), samples="mad_up")
    assert set(states(made).values()) == {State.NOT_TRIGGERED}
    assert "did you mean `made_up`?" in reasons(made)["GC601"]


def test_an_untrained_network_is_never_accused() -> None:
    made = report(program(), at=(0,))
    assert made.findings == []
    assert set(states(made).values()) == {State.NOT_TRIGGERED}
    assert "hardly trained: loss" in reasons(made)["GC601"]
    assert "--at 0,5000" in reasons(made)["GC601"]


def test_five_sequences_say_nothing() -> None:
    made = report(program(SAMPLER, ("range(40)", "range(5)")))
    assert states(made)["GC601"] is State.NOT_TRIGGERED
    assert "at least 10 needed" in reasons(made)["GC601"]


def test_a_program_that_draws_nothing() -> None:
    made = report(program(""))
    assert set(states(made).values()) == {State.NOT_TRIGGERED}
    assert "`--samples NAME`" in reasons(made)["GC601"]


def test_a_sampler_with_other_logits_generates_other_lengths() -> None:
    made = report(program(SAMPLER, ("h @ W2 + b2", "h @ W2 * 0.2 + b2")))
    found = only(made, "GC601")
    assert found.evidence["sampler_variation"] > 0.25
    assert "they are not the same network" in found.notes[0]
    assert made.summary["errors"] == 0


def test_a_sampler_without_the_activation_is_shifted() -> None:
    text = program(SAMPLER, (HIDDEN, HIDDEN.removeprefix("torch.tanh")))
    found = only(report(text, at=(1500,)), "GC601")
    assert found.evidence["mean"] < found.evidence["training_mean"]


def test_a_generator_that_is_seeded_for_every_sequence() -> None:
    made = report(
        program(SAMPLER, ("    context, spelled", "    sampling.manual_seed(2)\n    context, spelled"))
    )
    assert only(made, "GC602").message == "all 40 generated sequences are the same"


def test_a_sampler_that_mostly_ends_at_once() -> None:
    made = report(program(SAMPLER, ("h @ W2 + b2", "h @ W2 + b2 + 10 * F.one_hot(torch.tensor(0), V)")))
    assert "empty" in only(made, "GC602").message


def test_a_loop_that_waits_for_another_token() -> None:
    made = report(program(SAMPLER, ("i == 0", "i == V")))
    found = only(made, "GC603")
    assert found.message == "the end token '.' was drawn, and the sampler went on"
    # That is certain, however little was learned.
    assert only(report(program(SAMPLER, ("i == 0", "i == V")), at=(0,)), "GC603")


def test_a_limit_that_hides_that_nothing_ends() -> None:
    never = ("h @ W2 + b2", "h @ W2 + b2 - 50 * F.one_hot(torch.tensor(0), V)")
    limit = ("while True:", "while len(spelled) < 30:")
    found = only(report(program(SAMPLER, never, limit)), "GC603")
    assert "cut off at a limit" in found.message
