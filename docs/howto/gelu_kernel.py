"""A kernel with its gradient, held against what it computes in plain torch."""

import numpy as np
import torch

A, B = 0.7978845608, 0.044715


@torch.library.custom_op("example::gelu_backward", mutates_args=())
def gelu_backward(dy: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Stands for a compiled kernel: torch sees what goes in and what comes out, and nothing else."""
    z = x.numpy()
    t = np.tanh(A * (z + B * z**3))
    slope = 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * A * (1 + 3 * B * z**2)
    return dy * torch.from_numpy(slope.astype(z.dtype))


class Gelu:
    """`forward` is the definition, in plain torch; `backward` is the kernel."""

    def forward(self, x):
        self.x = x
        return 0.5 * x * (1 + torch.tanh(A * (x + B * x**3)))

    def backward(self, dy):
        return gelu_backward(dy, self.x)
