import numpy as np


def start(sizes):
    params = {}
    for i in range(1, len(sizes)):
        params[f"W{i}"] = np.random.randn(sizes[i], sizes[i - 1]) * 0.3
        params[f"b{i}"] = np.zeros((sizes[i], 1))
    return params


def ahead(x, params, depth):
    cache = {"A0": x}
    for i in range(1, depth + 1):
        z = params[f"W{i}"] @ cache[f"A{i - 1}"] + params[f"b{i}"]
        cache[f"A{i}"] = np.tanh(z) if i < depth else 1 / (1 + np.exp(-z))
    return cache


def back(y, params, cache, depth):
    grads, m = {}, y.shape[1]
    dz = cache[f"A{depth}"] - y
    for i in range(depth, 0, -1):
        grads[f"W{i}"] = dz @ cache[f"A{i - 1}"].T / m
        grads[f"b{i}"] = dz.sum(axis=1, keepdims=True) / m
        if i > 1:
            dz = params[f"W{i}"].T @ dz * (1 - cache[f"A{i - 1}"] ** 2)
    return grads


np.random.seed(2)
X = np.random.randn(3, 20)
Y = (X[:1] * X[1:2] > 0).astype(float)
params = start([3, 5, 4, 1])
for epoch in range(2):
    cache = ahead(X, params, 3)
    cost = -np.mean(Y * np.log(cache["A3"]) + (1 - Y) * np.log(1 - cache["A3"]))
    grads = back(Y, params, cache, 3)
    params = {name: params[name] - 0.1 * grads[name] for name in params}
