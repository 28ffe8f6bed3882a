from typing import NamedTuple

import torch
from torch import Tensor


class Params(NamedTuple):
    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor


def init(seed: int = 0) -> Params:
    g = torch.Generator().manual_seed(seed)
    return Params(
        torch.randn(4, 10, generator=g) / 2,
        torch.randn(10, generator=g) / 10,
        torch.randn(10, 2, generator=g) / 3,
        torch.randn(2, generator=g) / 10,
    )


@torch.no_grad()
def train_step(params: Params, x: Tensor, y: Tensor) -> tuple[Tensor, Params]:
    """One forward and backward pass; gradients come back in the parameters' own order."""
    pre = x @ params.w1 + params.b1
    hid = pre.relu()
    pred = hid @ params.w2 + params.b2
    loss = (pred - y).square().sum(-1).mean()

    d_pred = 2 * (pred - y) / x.shape[0]
    d_w2 = hid.mT @ d_pred
    d_b2 = d_pred.sum(0)
    d_hid = d_pred @ params.w2.mT
    d_pre = d_hid.masked_fill(pre <= 0, 0.0)
    d_w1 = x.mT @ d_pre
    d_b1 = d_pre.sum(0)
    return loss, Params(d_w1, d_b1, d_w2, d_b2)


def main() -> None:
    torch.manual_seed(55)
    x, y = torch.randn(16, 4), torch.randn(16, 2)
    params = init()
    for step in range(1000):
        loss, grads = train_step(params, x, y)
        params = Params(*(p - 0.05 * g for p, g in zip(params, grads)))
    print("final", loss.item())


if __name__ == "__main__":
    main()
