import numpy as np
import torch

torch.set_default_dtype(torch.float64)


def relu(x):
    return np.maximum(0, x)


def forward(X, params):
    a = X @ params["W1"] + params["b1"]
    h = relu(a)
    return h @ params["W2"] + params["b2"], (X, a, h)


def backward(dy, cache, params):
    X, a, h = cache
    grads = {}
    grads["W2"] = h.T @ dy
    grads["b2"] = dy.sum(0)
    da = (dy @ params["W2"].T) * (a > 0)
    grads["W1"] = X.T @ da
    grads["b1"] = da.sum(0)
    return grads


rng = np.random.default_rng(0)
params = {"W1": rng.standard_normal((4, 7)), "b1": rng.standard_normal(7), "W2": rng.standard_normal((7, 2)), "b2": rng.standard_normal(2)}
X, Y = rng.standard_normal((11, 4)), rng.standard_normal((11, 2))
yhat, cache = forward(X, params)
loss = 0.5 * ((yhat - Y) ** 2).sum() / len(X)
grads = backward((yhat - Y) / len(X), cache, params)

tp = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
out = torch.relu(torch.tensor(X) @ tp["W1"] + tp["b1"]) @ tp["W2"] + tp["b2"]
l = 0.5 * ((out - torch.tensor(Y)) ** 2).sum() / len(X)
l.backward()
for k in params:
    print(k, np.linalg.norm(grads[k] - tp[k].grad.numpy()))
