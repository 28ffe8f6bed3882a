import numpy as np

rng = np.random.RandomState(6)
m = 30
X, Y = rng.rand(5, m), rng.randint(0, 3, m)
W1, b1, W2, b2 = rng.rand(4, 5) - 0.5, rng.rand(4, 1) - 0.5, rng.rand(3, 4) - 0.5, rng.rand(3, 1) - 0.5


def one_hot(labels):
    rows = np.zeros((labels.size, 3))
    rows[np.arange(labels.size), labels] = 1
    return rows.T


for turn in range(50):
    Z1 = W1.dot(X) + b1
    A1 = np.maximum(Z1, 0)
    Z2 = W2.dot(A1) + b2
    A2 = np.exp(Z2) / sum(np.exp(Z2))
    dZ2 = A2 - one_hot(Y)
    dW2 = 1 / m * dZ2.dot(A1.T)
    db2 = 1 / m * np.array([sum(dZ2.T)]).T
    dZ1 = W2.T.dot(dZ2) * (Z1 > 0)
    dW1 = 1 / m * dZ1.dot(X.T)
    db1 = 1 / m * np.array(dZ1.sum(1), ndmin=2).T
    W1, b1, W2, b2 = W1 - 0.1 * dW1, b1 - 0.1 * db1, W2 - 0.1 * dW2, b2 - 0.1 * db2
    if turn % 10 == 0:
        print(np.sum(np.argmax(A2, 0) == Y) / m)
