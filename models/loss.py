"""The loss of a classifier: how surprised it is by the right answers."""

import torch
from torch import Tensor
from torch.nn import functional as F


class SoftmaxCrossEntropy:
    """loss = mean over the batch of -log softmax(logits)[target]."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits (n, classes), targets (n), integers -> loss, a scalar."""
        self.logits = logits
        self.targets = targets
        return F.cross_entropy(logits, targets)

    def backward(self) -> Tensor:
        """-> d_logits (n, classes).

        With p = softmax(z), d(-log p_t)/dz_k = p_k - [k = t] (Bishop 2006, equation 4.109).
        """
        probabilities = torch.softmax(self.logits, 1)
        one_hot = torch.zeros_like(self.logits).scatter_(1, self.targets.unsqueeze(1), 1)
        self.d_logits = (probabilities - one_hot) / len(self.targets)
        return self.d_logits
