import numpy as np

np.random.seed(0)
order = np.arange(6)
np.random.shuffle(order)
X = np.sin(order[:, None] * 0.7 + np.arange(4)[None, :])
T = np.cos(order)[:, None] * np.ones((1, 3))
A, B = np.random.randn(4, 5), np.random.randn(5, 3)
for step in range(100):
    z = X @ A
    best = z.argsort(axis=1)[:, -2:]
    kept = np.zeros_like(z, shape=z.shape)
    np.put_along_axis(kept, best, np.take_along_axis(z, best, axis=1), axis=1)
    y = kept @ B
    loss = ((y - T) ** 2).mean()
    dy = 2 * (y - T) / y.size
    dB = kept.T @ dy
    dkept = dy @ B.T
    dz = np.zeros_like(z)
    np.put_along_axis(dz, best, np.take_along_axis(dkept, best, axis=1), axis=1)
    dA = np.zeros_like(A)
    for i in range(len(X)):
        dA += np.outer(np.expand_dims(X[i], (0, 2)), dz[i])
    A -= 0.1 * dA
    B -= 0.1 * dB
