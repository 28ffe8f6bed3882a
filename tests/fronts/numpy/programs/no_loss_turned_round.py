"""The difference is turned round in the line after it, so that the steps go downhill."""

import numpy as np

rng = np.random.RandomState(1)
X, Y = rng.rand(8, 3), rng.rand(8, 2)
A, B = rng.randn(3, 4), rng.randn(4, 2)
for _ in range(40):
    hid = np.tanh(X @ A)
    out = 1 / (1 + np.exp(-(hid @ B)))
    delta_out = -(Y - out) * out * (1 - out)
    delta_hid = delta_out @ B.T * (1 - hid**2)
    B -= 0.5 * hid.T @ delta_out
    A -= 0.5 * X.T @ delta_hid
