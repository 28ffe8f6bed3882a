import numpy as np

rng = np.random.RandomState(5)
points = rng.randn(30, 2)
y = np.zeros(30, dtype="uint8")
for k in range(3):
    y[10 * k : 10 * (k + 1)] = k
W, b = 0.1 * rng.randn(2, 3), np.zeros((1, 3))
for step in range(50):
    scores = points @ W + b
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs = powers / powers.sum(axis=1, keepdims=True)
    loss = -np.log(probs[range(30), y]).sum() / 30 + 0.05 * np.sum(W * W)
    dscores = probs.copy()
    dscores[range(30), y] -= 1
    dscores /= 30
    dW = points.T @ dscores + 0.1 * W
    db = dscores.sum(axis=0, keepdims=True)
    W -= 0.5 * dW
    b -= 0.5 * db
