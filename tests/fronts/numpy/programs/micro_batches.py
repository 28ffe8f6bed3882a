import numpy as np

rng = np.random.RandomState(1)
X, T = rng.randn(64, 5), rng.randn(64, 2)
A, B = rng.randn(5, 8) * 0.4, rng.randn(8, 2) * 0.4
gA, gB = np.zeros_like(A), np.zeros_like(B)
for i in range(16):
    x, t = X[4 * i : 4 * i + 4], T[4 * i : 4 * i + 4]
    h = np.tanh(x @ A)
    y = h @ B
    loss = np.mean((y - t) ** 2)
    dy = 2 * (y - t) / y.size
    gB += h.T @ dy
    dh = dy @ B.T
    gA += x.T @ (dh * (1 - h**2))
    if (i + 1) % 4 == 0:
        A -= 0.1 * gA / 4
        B -= 0.1 * gB / 4
        gA[:] = 0
        gB[:] = 0
        print(i, loss)
