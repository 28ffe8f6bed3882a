"""Where the sequences in what was drawn end."""

from __future__ import annotations

from gradcheck.health.samples.sequences import Drawn, cut_apart, end_of, without_filling


def test_the_end_is_what_sequences_end_with_and_nothing_else_holds() -> None:
    assert end_of([Drawn([3, 4, 0]), Drawn([5, 0]), Drawn([4, 3])]) == 0
    assert end_of([Drawn([3, 0, 0]), Drawn([5, 0])]) is None  # it stands inside of one as well
    assert end_of([Drawn([3, 1]), Drawn([5, 2]), Drawn([4, 6])]) is None


def test_sequences_lose_their_end_and_those_without_one_were_cut() -> None:
    found = cut_apart([Drawn([3, 4, 0]), Drawn([0]), Drawn([4, 3], limited=True)], None)
    assert (found.end, found.ended, found.cut, found.endless) == (0, [[3, 4], []], [[4, 3]], [])


def test_one_text_of_fixed_length_is_many_sequences() -> None:
    found = cut_apart([Drawn([3, 0, 4, 4, 0, 5], limited=True)], 0)
    assert found.ended == [[3], [4, 4]]
    assert (found.went_on, found.cut) == (0, [])


def test_a_sampler_that_passes_the_end_went_on() -> None:
    found = cut_apart([Drawn([3, 0, 4, 7]), Drawn([4, 0, 7])], 0)
    assert found.went_on == 2
    assert found.ended == []


def test_a_run_that_was_left_has_no_end() -> None:
    found = cut_apart([Drawn([3, 4] * 50, left=True)], 0)
    assert len(found.endless) == 1
    assert found.went_on == 0
    assert cut_apart([Drawn([3, 0] * 50, left=True)], 0).went_on == 1


def test_what_follows_the_end_in_a_column_is_filling() -> None:
    runs = without_filling([Drawn([3, 0, 5]), Drawn([4, 4, 4])], 0)
    assert [run.tokens for run in runs] == [[3, 0], [4, 4, 4]]
