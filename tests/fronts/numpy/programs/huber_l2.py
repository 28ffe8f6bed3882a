"""A regression with a loss that grows like an absolute value far out, and a penalty on the weights; a function per step."""

import numpy as np

np.random.seed(4)
X = np.random.randn(25, 3)
y = X @ np.array([1.0, -2.0, 0.5]) + np.random.randn(25)
params = {"w": np.zeros(3) + 0.1, "b": np.zeros(())}
LIMIT, REG = 0.8, 0.01


def loss_and_gradients(params, X, y):
    pred = X @ params["w"] + params["b"]
    r = pred - y
    small = np.abs(r) <= LIMIT
    loss = np.mean(np.where(small, 0.5 * r**2, LIMIT * (np.abs(r) - 0.5 * LIMIT)))
    loss += REG * np.sum(params["w"] ** 2)
    dr = np.where(small, r, LIMIT * np.sign(r)) / len(y)
    grads = {"w": X.T @ dr + 2 * REG * params["w"], "b": dr.sum()}
    return loss, grads


for _ in range(60):
    loss, grads = loss_and_gradients(params, X, y)
    for name in params:
        params[name] = params[name] - 0.1 * grads[name]
