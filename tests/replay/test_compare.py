"""Comparing gradients by their numbers."""

import torch

from gradcheck.replay.compare import multiple_of


def test_a_gradient_whose_square_is_too_small_for_a_number_has_no_multiples():
    tiny = torch.full((2,), 1e-200, dtype=torch.float64)
    assert multiple_of(torch.ones(2, dtype=torch.float64), tiny, 1e-12) == 0.0
