"""The samples of a minibatch one after the other: their gradients are added up in lists."""

import numpy as np

rng = np.random.default_rng(5)


def gradients(weights, biases, x, y):
    outs = [x]
    for w, b in zip(weights, biases):
        outs.append(1 / (1 + np.exp(-(w @ outs[-1] + b))))
    cost = 0.5 * np.sum((outs[-1] - y) ** 2)
    delta = (outs[-1] - y) * outs[-1] * (1 - outs[-1])
    db, dw = [delta], [delta @ outs[-2].T]
    for back in range(2, len(outs)):
        delta = weights[-back + 1].T @ delta * outs[-back] * (1 - outs[-back])
        db.insert(0, delta)
        dw.insert(0, delta @ outs[-back - 1].T)
    return cost, dw, db


sizes = [4, 6, 2]
weights = [rng.normal(size=(n, m)) / 3 for m, n in zip(sizes, sizes[1:])]
biases = [rng.normal(size=(n, 1)) for n in sizes[1:]]
data = [(rng.normal(size=(4, 1)), rng.uniform(size=(2, 1))) for _ in range(30)]
for first in range(0, 30, 5):
    sum_w = [np.zeros(w.shape) for w in weights]
    sum_b = [np.zeros(b.shape) for b in biases]
    for x, y in data[first : first + 5]:
        cost, dw, db = gradients(weights, biases, x, y)
        sum_w = [s + d for s, d in zip(sum_w, dw)]
        sum_b = [s + d for s, d in zip(sum_b, db)]
    weights = [w - 0.1 * d for w, d in zip(weights, sum_w)]
    biases = [b - 0.1 * d for b, d in zip(biases, sum_b)]
