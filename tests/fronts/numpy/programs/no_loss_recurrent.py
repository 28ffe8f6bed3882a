"""A recurrent network that adds: the differences are collected on the way forward, and no loss is."""
import numpy as np

rng = np.random.RandomState(0)
steps = 5
U = rng.randn(2, 6) * 0.5
V = rng.randn(6, 6) * 0.3
W = rng.randn(6, 1) * 0.5
for turn in range(60):
    xs, ys = rng.randint(0, 2, (steps, 1, 2)), rng.randint(0, 2, (steps, 1, 1))
    hs, outs, misses = {-1: np.zeros((1, 6))}, {}, {}
    for t in range(steps):
        hs[t] = np.tanh(xs[t] @ U + hs[t - 1] @ V)
        outs[t] = 1 / (1 + np.exp(-(hs[t] @ W)))
        misses[t] = outs[t] - ys[t]
    dU, dV, dW = np.zeros_like(U), np.zeros_like(V), np.zeros_like(W)
    dh_next = np.zeros((1, 6))
    for t in reversed(range(steps)):
        dz = misses[t] * outs[t] * (1 - outs[t])
        dW += hs[t].T @ dz
        dh = dz @ W.T + dh_next
        draw = dh * (1 - hs[t] ** 2)
        dU += xs[t].T @ draw
        dV += hs[t - 1].T @ draw
        dh_next = draw @ V.T
    U -= 0.1 * dU
    V -= 0.1 * dV
    W -= 0.1 * dW
