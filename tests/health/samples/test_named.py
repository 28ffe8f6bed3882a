"""What `--samples NAME` may hold."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from gradcheck.health.samples.vocabulary import NoSamplesError, find_vocabulary, named_runs


@pytest.mark.parametrize(
    ("held", "tokens"),
    [
        (["ab", "c"], [["a", "b"], ["c"]]),
        ("ab\nc\n", [["a", "b"], ["c"]]),
        ([["a", "b"], ["c"]], [["a", "b"], ["c"]]),
        ([[1, 2], [3]], [[1, 2], [3]]),
        ([torch.tensor([1, 2]), torch.tensor([3])], [[1, 2], [3]]),
        (torch.tensor([[1, 2], [3, 0]]), [[1, 2], [3, 0]]),
    ],
)
def test_lists_of_strings_and_of_tokens(held: object, tokens: list[list[object]]) -> None:
    runs, characters = named_runs({"made_up": held}, "made_up")
    assert [run.tokens for run in runs] == tokens
    assert characters == isinstance(tokens[0][0], str)


def test_an_attribute_is_reached() -> None:
    runs, _ = named_runs({"model": SimpleNamespace(out=["a"])}, "model.out")
    assert [run.tokens for run in runs] == [["a"]]


@pytest.mark.parametrize(
    ("name", "said"),
    [("mad_up", "did you mean `made_up`"), ("count", "holds an int"), ("made_up.x", "no attribute `x`")],
)
def test_what_cannot_be_read_is_told(name: str, said: str) -> None:
    with pytest.raises(NoSamplesError, match=said):
        named_runs({"made_up": ["a"], "count": 3}, name)


def test_a_vocabulary_names_every_class_once() -> None:
    assert find_vocabulary({"itos": {0: ".", 1: "a"}, "stoi": {".": 0, "a": 1}}, 2).text([1, 1]) == "aa"
    assert find_vocabulary({"chars": [".", "a"]}, 2).token(0) == "'.'"
    assert not find_vocabulary({"chars": [".", "a"], "other": ["x", "y"]}, 2).known  # which of them?
    assert not find_vocabulary({"chars": [".", "a", "b"]}, 2).known
