"""Softmax regression with a hidden layer: the scores' gradient is made in the array of the probabilities."""
import numpy as np

np.random.seed(6)
n, classes = 30, 3
X = np.random.randn(n, 4)
y = np.random.randint(0, classes, n)
W1 = np.random.randn(4, 8) * 0.4
b1 = np.zeros(8)
W2 = np.random.randn(8, classes) * 0.4
b2 = np.zeros(classes)
for epoch in range(100):
    hidden = np.maximum(0, X.dot(W1) + b1)
    scores = hidden.dot(W2) + b2
    scores -= scores.max(axis=1, keepdims=True)
    probs = np.exp(scores)
    probs /= probs.sum(axis=1, keepdims=True)
    dscores = probs
    dscores[range(n), y] -= 1
    dscores /= n
    dW2 = hidden.T.dot(dscores)
    db2 = dscores.sum(axis=0)
    dhidden = dscores.dot(W2.T)
    dhidden[hidden <= 0] = 0
    dW1 = X.T.dot(dhidden)
    db1 = dhidden.sum(axis=0)
    for p, g in ((W1, dW1), (b1, db1), (W2, dW2), (b2, db2)):
        p -= 0.5 * g
