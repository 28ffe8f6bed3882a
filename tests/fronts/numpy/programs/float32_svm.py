import numpy as np

rng = np.random.RandomState(5)
X = rng.rand(12, 6).astype(np.float32)
y = rng.randint(4, size=12)
W = (0.01 * rng.randn(6, 4)).astype(np.float32)
reg = 1e-3
n = X.shape[0]
scores = X.dot(W)
correct = scores[np.arange(n), y].reshape(n, 1)
margins = np.maximum(0, scores - correct + 1)
margins[np.arange(n), y] = 0
loss = np.sum(margins) / n + reg * np.sum(W * W)
dscores = (margins > 0).astype(np.float32)
dscores[np.arange(n), y] = -np.sum(dscores, axis=1)
dW = X.T.dot(dscores) / n + 2 * reg * W
W -= 0.1 * dW
