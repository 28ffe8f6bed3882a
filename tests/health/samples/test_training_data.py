"""The training sequences, told from what the step reads."""

from __future__ import annotations

import torch

from gradcheck.health.samples.training_data import from_padded, from_rows, from_strings

WORDS = [[3, 4], [5], [3, 3, 4]]


def rows(size: int, words: list[list[int]] = WORDS) -> tuple[torch.Tensor, torch.Tensor]:
    contexts, targets = [], []
    for word in words:
        context = [0] * size
        for token in [*word, 0]:
            contexts.append(context)
            targets.append(token)
            context = [*context[1:], token]
    return torch.tensor(contexts), torch.tensor(targets)


def test_rows_that_move_on_by_their_targets_spell_sequences() -> None:
    found = from_rows(*rows(3), None)
    assert found is not None
    assert found.sequences == WORDS
    assert found.end == 0
    assert found.rows is not None
    assert found.rows.positions.tolist() == [0, 1, 2, 0, 1, 0, 1, 2, 3]
    assert found.rows.start == [0, 0, 0]
    assert found.holds([5])
    assert not found.holds([4])


def test_a_context_of_one_token_needs_to_be_told_the_end() -> None:
    contexts, targets = rows(1)
    assert from_rows(contexts[:, 0], targets, None) is None
    found = from_rows(contexts[:, 0], targets, 0)
    assert found is not None
    assert found.sequences == WORDS
    assert from_rows(contexts[:, 0], targets, 4) is None


def test_shuffled_rows_spell_nothing() -> None:
    contexts, targets = rows(3)
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))
    assert from_rows(contexts[order], targets[order], 0) is None


def test_one_wrong_row_is_enough() -> None:
    contexts, targets = rows(3)
    contexts[7, 0] = 5
    assert from_rows(contexts, targets, 0) is None


def test_a_row_for_every_sequence_with_filling() -> None:
    contexts = torch.tensor([[0, 3, 4, 0], [0, 5, 0, 0]])
    targets = torch.tensor([[3, 4, 0, -1], [5, 0, -1, -1]])
    found = from_padded(contexts, targets)
    assert found is not None
    assert found.sequences == [[3, 4], [5]]
    assert from_padded(contexts, targets.flip(0)) is None


def test_strings_are_taken_if_the_targets_count_them() -> None:
    namespace = {"names": ["ab", "c", "def"], "other": ["ab", "c"], "rows": [1, 2]}
    found = from_strings(namespace, 9)
    assert found is not None
    assert found.lengths == [2, 1, 3]
    assert "`names`" in found.source
    assert from_strings(namespace, 10) is None
