"""A learned vector for each letter, looked up for a whole window of letters."""

from typing import ClassVar

import torch
from torch import Tensor

from models.layers.layer import Parametric


class Embedding(Parametric):
    """weight (letters, size). The vectors of a window are laid side by side (Bengio et al. 2003, section 2).

    Not a `Layer`: its inputs are letters, and no letter has a gradient.
    """

    parameter_names: ClassVar = ("weight",)

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def forward(self, contexts: Tensor) -> Tensor:
        """contexts (n, context), integers -> outputs (n, context * size)."""
        self.contexts = contexts
        return self.weight.index_select(0, contexts.flatten()).view(len(contexts), -1)

    def backward(self, d_outputs: Tensor) -> None:
        """d_outputs (n, context * size); sets d_weight (letters, size).

        A letter that stands in the batch several times gets the sum over all of its places: `index_add_` adds,
        where `d_weight[contexts] += ...` would keep only one of them.
        """
        d_vectors = d_outputs.reshape(-1, self.weight.shape[1])
        self.d_weight = torch.zeros_like(self.weight).index_add_(0, self.contexts.flatten(), d_vectors)
