import numpy as np

rng = np.random.RandomState(2)
x, t = rng.randn(30, 4), rng.randn(30)
w, b = rng.randn(4) * 0.3, 0.0
for epoch in range(4):
    for i in range(30):
        out = 0.0
        for j in range(4):
            out += w[j] * x[i][j]
        y = np.tanh(out + b)
        loss = 0.5 * (y - t[i]) ** 2
        delta = (y - t[i]) * (1 - y**2)
        for j in range(4):
            w[j] -= 0.1 * delta * x[i][j]
        b -= 0.1 * delta
