import numpy as np
import math

np.random.seed(0)
w = np.random.randn(2)
b = 0.0
xs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
ts = np.array([0, 0, 0, 1])
lr = 0.5
for epoch in range(50):
    loss = 0.0
    dw = np.zeros(2)
    db = 0.0
    for x, t in zip(xs, ts):
        z = x[0] * w[0] + x[1] * w[1] + b
        p = 1 / (1 + math.exp(-z))
        loss += -(t * math.log(p) + (1 - t) * math.log(1 - p))
        dz = p - t
        dw[0] += dz * x[0]
        dw[1] += dz * x[1]
        db += dz
    w -= lr * dw
    b -= lr * db
print(loss)
