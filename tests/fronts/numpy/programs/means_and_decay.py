import numpy as np

rng = np.random.RandomState(7)
X, Y = rng.randn(6, 12), (rng.rand(1, 12) > 0.5) * 1.0
m, decay = 12, 0.7
W1, b1 = rng.randn(5, 6) * 0.5, np.zeros((5, 1))
W2, b2 = rng.randn(1, 5) * 0.5, np.zeros((1, 1))


def linear_backward(dZ, A, W):
    dW = np.dot(dZ, A.T) / m + decay / m * W
    db = np.sum(dZ, axis=1, keepdims=True) / m
    return np.dot(W.T, dZ), dW, db


for epoch in range(20):
    A1 = np.tanh(W1 @ X + b1)
    A2 = 1 / (1 + np.exp(-(W2 @ A1 + b2)))
    cost = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m
    cost += decay / (2 * m) * (np.sum(W1**2) + np.sum(W2**2))
    dA2 = -(Y / A2 - (1 - Y) / (1 - A2))
    dA1, dW2, db2 = linear_backward(dA2 * A2 * (1 - A2), A1, W2)
    dX, dW1, db1 = linear_backward(dA1 * (1 - A1**2), X, W1)
    W1, b1 = W1 - 0.1 * dW1, b1 - 0.1 * db1
    W2, b2 = W2 - 0.1 * dW2, b2 - 0.1 * db2
