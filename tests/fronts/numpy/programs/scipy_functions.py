import numpy as np
from scipy import signal
from scipy.special import expit, log_softmax, logsumexp, softmax

rng = np.random.default_rng(0)
X = rng.normal(size=(7, 7))
K = rng.normal(size=(3, 3)) * 0.4
W = rng.normal(size=(25, 4)) * 0.2
V = rng.normal(size=(3, 3)) * 0.4
label = 2
c = signal.correlate2d(X, K, mode="valid")
h = expit(c)
g = signal.convolve2d(h, V, mode="same")
scores = g.reshape(-1) @ W
loss = -log_softmax(scores, axis=0)[label] + 0.1 * logsumexp(scores)
dscores = softmax(scores[None], axis=1)[0] * 1.1
dscores[label] -= 1
dW = np.outer(g.reshape(-1), dscores)
dg = (W @ dscores).reshape(5, 5)
dV = signal.correlate2d(dg, h, mode="full")[3:6, 3:6]
dh = signal.correlate2d(dg, V, mode="same")
dc = dh * h * (1 - h)
dK = signal.correlate2d(X, dc, mode="valid")
dX = signal.correlate2d(dc, K[::-1, ::-1], mode="full")
print(loss, dX.sum())
