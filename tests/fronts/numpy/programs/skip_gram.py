"""Word vectors with negative sampling: rows are read by index, and their gradients are added up by it."""

import numpy as np

rng = np.random.default_rng(11)
V, D, batch, k = 12, 5, 6, 3
W_in, W_out = rng.normal(0, 0.3, (V, D)), rng.normal(0, 0.3, (V, D))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


for step in range(25):
    center = rng.integers(0, V, batch)
    context = rng.integers(0, V, batch)
    negative = rng.integers(0, V, (batch, k))
    h, u, n = W_in[center], W_out[context], W_out[negative]
    s_pos = sigmoid(np.sum(h * u, axis=1))
    s_neg = sigmoid(np.einsum("bd,bkd->bk", h, n))
    loss = -np.mean(np.log(s_pos) + np.log(1 - s_neg).sum(axis=1))

    g_pos = (s_pos - 1)[:, None] / batch
    g_neg = s_neg[:, :, None] / batch
    grad_h = g_pos * u + (g_neg * n).sum(axis=1)
    grad_u = g_pos * h
    grad_n = g_neg * h[:, None, :]
    grad_W_in, grad_W_out = np.zeros_like(W_in), np.zeros_like(W_out)
    np.add.at(grad_W_in, center, grad_h)
    np.add.at(grad_W_out, context, grad_u)
    np.add.at(grad_W_out, negative, grad_n)
    W_in -= 0.5 * grad_W_in
    W_out -= 0.5 * grad_W_out
