import numpy as np

np.random.seed(4)
inputs = np.random.uniform(-1, 1, size=(32, 3))
targets = np.tanh(inputs @ np.array([[1.0], [-2.0], [0.5]]))
parameters = [np.random.randn(3, 5) * 0.5, np.zeros((1, 5)), np.random.randn(5, 1) * 0.5, np.zeros((1, 1))]


def batches(x, y, size):
    order = np.random.permutation(len(x))
    for start in range(0, len(x), size):
        chosen = order[start : start + size]
        yield x[chosen], y[chosen]


def step(x, y, lr=0.1):
    W1, b1, W2, b2 = parameters
    hidden = 1.0 / (1.0 + np.exp(-(x @ W1 + b1)))
    prediction = hidden @ W2 + b2
    error = prediction - y
    loss = (error**2).mean()
    d_prediction = 2.0 * error / error.size
    d_W2 = hidden.T @ d_prediction
    d_b2 = d_prediction.sum(axis=0, keepdims=True)
    d_hidden = d_prediction @ W2.T
    d_pre = d_hidden * hidden * (1.0 - hidden)
    d_W1 = x.T @ d_pre
    d_b1 = d_pre.sum(axis=0, keepdims=True)
    for p, g in zip(parameters, (d_W1, d_b1, d_W2, d_b2)):
        p -= lr * g
    return loss


for epoch in range(20):
    total = sum(step(x, y) for x, y in batches(inputs, targets, 8))
print(total)
