"""The layer that `layer.md` checks. It is wrong in one place, which a fresh layer hides: gamma is 1 there."""

import torch


class LayerNorm:
    def __init__(self, size):
        self.gamma, self.beta = torch.ones(size), torch.zeros(size)

    def forward(self, x):
        centred = x - x.mean(-1, keepdim=True)
        self.inv_std = (centred.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt()
        self.xhat = centred * self.inv_std
        return self.xhat * self.gamma + self.beta

    def backward(self, dout):
        self.dgamma = (dout * self.xhat).sum(0)
        self.dbeta = dout.sum(0)
        dxhat = dout * self.gamma
        mean, along = dxhat.mean(-1, keepdim=True), (dxhat * self.xhat).mean(-1, keepdim=True)
        return (dout - mean - self.xhat * along) * self.inv_std
