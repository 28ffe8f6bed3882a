import numpy as np

rng = np.random.RandomState(0)
X = rng.randn(20, 5)
y = rng.randint(0, 3, 20)
W1 = 0.1 * rng.randn(5, 8)
b1 = np.zeros(8)
W2 = 0.1 * rng.randn(8, 3)
b2 = np.zeros((1, 3))
n = X.shape[0]
h = np.maximum(0, np.dot(X, W1) + b1)
scores = h @ W2 + b2
scores -= np.max(scores, axis=1, keepdims=True)
e = np.exp(scores)
probs = e / e.sum(axis=1, keepdims=True)
loss = -np.log(probs[np.arange(n), y]).sum() / n + 0.5 * 0.01 * np.sum(W1 * W1)
print(loss)
dscores = probs
dscores[range(n), y] -= 1
dscores /= n
dW2 = h.T.dot(dscores)
db2 = np.sum(dscores, axis=0, keepdims=True)
dh = np.dot(dscores, W2.T)
dh[h <= 0] = 0
dW1 = X.T @ dh
db1 = dh.sum(axis=0)
dW1 += 0.01 * W1
W1 -= 0.1 * dW1
b1 -= 0.1 * db1
W2 += -0.1 * dW2
b2 += -0.1 * db2
