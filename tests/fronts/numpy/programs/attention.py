"""One head of attention over short sequences, a mean over the steps, and a loss of squares."""

import numpy as np

np.random.seed(2)
B, S, E = 3, 4, 5
x, target = np.random.randn(B, S, E), np.random.randn(B, E)
Wq, Wk, Wv = (np.random.randn(E, E) * 0.4 for _ in range(3))
lr = 0.1
for it in range(30):
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(E)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    att = e / e.sum(axis=-1, keepdims=True)
    ctx = att @ v
    pooled = ctx.mean(axis=1)
    loss = ((pooled - target) ** 2).mean()

    dpooled = 2 * (pooled - target) / pooled.size
    dctx = np.repeat(dpooled[:, None, :], S, axis=1) / S
    datt = dctx @ v.transpose(0, 2, 1)
    dv = att.transpose(0, 2, 1) @ dctx
    dscores = att * (datt - (datt * att).sum(axis=-1, keepdims=True)) / np.sqrt(E)
    dq = dscores @ k
    dk = dscores.transpose(0, 2, 1) @ q
    dWq = np.einsum("bse,bsf->ef", x, dq)
    dWk = np.einsum("bse,bsf->ef", x, dk)
    dWv = np.einsum("bse,bsf->ef", x, dv)

    Wq -= lr * dWq
    Wk -= lr * dWk
    Wv -= lr * dWv
