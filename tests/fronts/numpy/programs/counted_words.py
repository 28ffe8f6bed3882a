import numpy as np

rng = np.random.default_rng(0)
E, W = rng.normal(size=(7, 4)), rng.normal(size=(4, 3)) * 0.5
words, labels = rng.integers(0, 7, size=9), rng.integers(0, 3, size=9)
first = np.flatnonzero(np.r_[True, np.diff(np.sort(words)) > 0])
for step in range(100):
    e = E[words]
    scores = np.einsum("nd,dk->nk", e, W)
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(9), labels]).mean()
    dscores = p.copy()
    np.subtract.at(dscores, (np.arange(9), labels), 1)
    dscores /= 9
    dW = np.einsum("nd,nk->dk", e, dscores)
    de = np.einsum("nk,dk->nd", dscores, W)
    dE = np.stack([np.bincount(words, weights=de[:, j], minlength=7) for j in range(4)], axis=1)
    W -= 0.5 * dW
    E -= 0.5 * dE
print(len(first))
