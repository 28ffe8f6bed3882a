"""Every gradient is called after the fraction it is."""

import numpy as np

rng = np.random.default_rng(5)
X = rng.normal(size=(30, 4))
T = np.eye(3)[rng.integers(0, 3, 30)]
W1, b1 = rng.normal(size=(4, 5)) * 0.5, np.zeros(5)
W2, b2 = rng.normal(size=(5, 3)) * 0.5, np.zeros(3)
for step in range(100):
    Z1 = X @ W1 + b1
    A1 = np.where(Z1 > 0, Z1, 0.1 * Z1)
    Z2 = A1 @ W2 + b2
    P = np.exp(Z2) / np.exp(Z2).sum(axis=1)[:, None]
    L = -(T * np.log(P)).sum() / len(X)

    dL_dZ2 = (P - T) / len(X)
    dL_dW2 = A1.T @ dL_dZ2
    dL_db2 = dL_dZ2.sum(axis=0)
    dL_dA1 = dL_dZ2 @ W2.T
    dL_dZ1 = dL_dA1 * np.where(Z1 > 0, 1.0, 0.1)
    dL_dW1 = X.T @ dL_dZ1
    dL_db1 = dL_dZ1.sum(axis=0)

    W1, b1 = W1 - 0.5 * dL_dW1, b1 - 0.5 * dL_db1
    W2, b2 = W2 - 0.5 * dL_dW2, b2 - 0.5 * dL_db2
