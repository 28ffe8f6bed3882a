import numpy as np

rng = np.random.default_rng(0)
X, T = rng.normal(size=(12, 4)), rng.normal(size=(12, 3))
W, b = rng.normal(size=(4, 3)) * 0.1, np.zeros(3)


def both_ways(x, t):
    miss = x @ W + b - t
    loss = (miss**2).sum() / len(X)
    dy = 2 * miss / len(X)
    return loss, x.T @ dy, dy.sum(axis=0)


for epoch in range(100):
    gW, gb = np.zeros_like(W), np.zeros_like(b)
    losses = []
    for start in range(0, 12, 4):
        loss, dW, db = both_ways(X[start : start + 4], T[start : start + 4])
        losses.append(loss)
        gW += dW
        gb += db
    W -= 0.1 * gW
    b -= 0.1 * gb
    print(sum(losses))
