"""Layers as functions that change their argument, as people write to save memory."""

import torch

generator = torch.Generator().manual_seed(3)
inputs = torch.randn(10, 6, generator=generator)
targets = torch.randn(10, 2, generator=generator)
params = {
    "first": 0.4 * torch.randn(6, 5, generator=generator),
    "shift": 0.1 * torch.randn(5, generator=generator),
    "second": 0.4 * torch.randn(5, 2, generator=generator),
}


def squash(a):
    a.mul_(2.0)
    a.tanh_()
    return a


def forward(batch):
    pre = batch @ params["first"]
    pre += params["shift"]
    squash(pre)
    prediction = pre @ params["second"]
    return prediction, pre


def backward(batch, prediction, pre, wanted):
    d_prediction = 2.0 * (prediction - wanted) / prediction.numel()
    d_second = pre.T @ d_prediction
    d_squashed = d_prediction @ params["second"].T
    d_pre = 2.0 * d_squashed * (1.0 - pre**2)
    d_first = batch.T @ d_pre
    d_shift = d_pre.sum(0)
    return {"first": d_first, "shift": d_shift, "second": d_second}


for step in range(30):
    prediction, pre = forward(inputs)
    loss = ((prediction - targets) ** 2).mean()
    gradients = backward(inputs, prediction, pre, targets)
    for name, gradient in gradients.items():
        params[name] -= 0.1 * gradient
