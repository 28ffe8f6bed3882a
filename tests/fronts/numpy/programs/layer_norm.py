"""A block with layer normalisation, a smooth activation and a way past it."""

import numpy as np

np.random.seed(6)
n, d = 8, 6
x, target = np.random.randn(n, d), np.random.randn(n, d)
gamma, beta = 1 + 0.1 * np.random.randn(d), 0.1 * np.random.randn(d)
W = np.random.randn(d, d) * 0.3
for _ in range(30):
    mu = x.mean(axis=1, keepdims=True)
    inv = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    xhat = (x - mu) * inv
    z = xhat * gamma + beta
    a = z @ W
    s = 1 / (1 + np.exp(-a))
    out = x + a * s
    diff = out - target
    loss = np.square(diff).sum() / n

    dout = 2 * diff / n
    da = dout * (s + a * s * (1 - s))
    dW = z.T @ da
    dz = da @ W.T
    dgamma = (dz * xhat).sum(axis=0)
    dbeta = dz.sum(axis=0)
    dxhat = dz * gamma
    dnorm = inv * (dxhat - dxhat.mean(axis=1, keepdims=True) - xhat * (dxhat * xhat).mean(axis=1, keepdims=True))
    dx = dnorm + dout

    W -= 0.05 * dW
    gamma -= 0.05 * dgamma
    beta -= 0.05 * dbeta
