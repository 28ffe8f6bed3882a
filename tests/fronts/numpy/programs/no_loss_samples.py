"""One example at a time, uphill, a step per example; no gradient of a weight has a name."""
import numpy as np

np.random.seed(3)
data = [(np.random.randn(3, 1), np.random.rand(2, 1)) for _ in range(12)]
v = np.random.randn(4, 3) * 0.5
w = np.random.randn(2, 4) * 0.5
rate = 0.3


def squash(t):
    return 1.0 / (1.0 + np.exp(-t))


for epoch in range(30):
    for x, target in data:
        hid = squash(np.dot(v, x))
        out = squash(np.dot(w, hid))
        error = target - out
        delta_out = error * out * (1 - out)
        delta_hid = np.dot(w.T, delta_out) * hid * (1 - hid)
        w += rate * np.dot(delta_out, hid.T)
        v += rate * np.dot(delta_hid, x.T)
