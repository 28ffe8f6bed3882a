"""Layers in NumPy as pairs of functions: `forward` hands its `backward` what it needs in a cache.

`dout` is the gradient of the loss with respect to the output of a layer. All gradients are right.
"""

import numpy as np


def affine_forward(x, w, b):
    """`x` may have more than two axes: each of its rows is one example."""
    out = x.reshape(len(x), -1) @ w + b
    return out, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, cache):
    return np.where(cache > 0, dout, 0)


def batchnorm_forward(x, gamma, beta, eps=1e-5):
    """Normalises each feature over the batch."""
    centred = x - x.mean(axis=0)
    inv_std = 1 / np.sqrt((centred**2).mean(axis=0) + eps)
    x_hat = centred * inv_std
    return gamma * x_hat + beta, (x_hat, inv_std, gamma)


def batchnorm_backward(dout, cache):
    x_hat, inv_std, gamma = cache
    dbeta = dout.sum(axis=0)
    dgamma = (dout * x_hat).sum(axis=0)
    # every example moves the mean and the standard deviation of all: neither way may change x_hat
    dx_hat = dout * gamma
    along_mean = dx_hat.mean(axis=0)
    along_std = x_hat * (dx_hat * x_hat).mean(axis=0)
    dx = inv_std * (dx_hat - along_mean - along_std)
    return dx, dgamma, dbeta


def softmax_loss(scores, y):
    """The cross-entropy of the right classes `y`, as a mean over the batch, and its gradient."""
    n = len(scores)
    shifted = scores - scores.max(axis=1, keepdims=True)  # keeps exp() from overflowing
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_probs[np.arange(n), y].mean()
    dscores = np.exp(log_probs)
    dscores[np.arange(n), y] -= 1
    return loss, dscores / n
