import numpy as np

rng = np.random.RandomState(0)
words, width = 12, 5
centre, context = rng.uniform(-0.1, 0.1, (words, width)), np.zeros((width, words))
pairs = rng.randint(words, size=(200, 2))


def squash(x):
    return 1 / (1 + np.exp(-x))


for epoch in range(3):
    total = 0.0
    for c, o in pairs:
        others = rng.randint(words, size=3)
        h = centre[c, :]
        good = squash(np.dot(h, context[:, o]))
        bad = [squash(-np.dot(h, context[:, k])) for k in others]
        total += -np.log(good) - sum(np.log(b) for b in bad)
        g = -(1.0 - good)
        dL_dh = g * context[:, o].copy()
        for i, k in enumerate(others):
            dL_dh += -(1.0 - bad[i]) * -context[:, k]
        context[:, o] -= 0.05 * g * h
        for i, k in enumerate(others):
            context[:, k] -= 0.05 * -(1.0 - bad[i]) * (-h)
        centre[c, :] -= 0.05 * dL_dh
    print(epoch, total)
