"""Columns are examples; the 1/m stands in the parameters' gradients alone, and the loss nowhere."""
import numpy as np

rng = np.random.default_rng(1)
m = 20
X = rng.normal(size=(5, m))
Y = np.eye(3)[rng.integers(0, 3, m)].T
params = {"W1": rng.normal(size=(6, 5)) * 0.3, "b1": np.zeros((6, 1)), "W2": rng.normal(size=(3, 6)) * 0.3, "b2": np.zeros((3, 1))}


def softmax(z):
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


def forward(x):
    z1 = params["W1"] @ x + params["b1"]
    a1 = 1 / (1 + np.exp(-z1))
    return a1, softmax(params["W2"] @ a1 + params["b2"])


def backward(a1, a2):
    dz2 = a2 - Y
    dz1 = params["W2"].T @ dz2 * a1 * (1 - a1)
    return {
        "W2": dz2 @ a1.T / m, "b2": dz2.sum(axis=1, keepdims=True) / m,
        "W1": dz1 @ X.T / m, "b1": dz1.sum(axis=1, keepdims=True) / m,
    }


for step in range(50):
    grads = backward(*forward(X))
    for name in params:
        params[name] = params[name] - 0.5 * grads[name]
