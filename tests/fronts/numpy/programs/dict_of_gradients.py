import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss_and_grads(params, X, Y):
    W1, b1, W2, b2 = params["W1"], params["b1"], params["W2"], params["b2"]
    m = X.shape[1]
    Z1 = W1.dot(X) + b1
    A1 = np.tanh(Z1)
    Z2 = np.dot(W2, A1) + b2
    A2 = sigmoid(Z2)
    cost = -1 / m * np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    cost = float(np.squeeze(cost))
    grads = {}
    dZ2 = A2 - Y
    grads["dW2"] = 1 / m * np.dot(dZ2, A1.T)
    grads["db2"] = 1 / m * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = np.multiply(np.dot(W2.T, dZ2), 1 - np.power(A1, 2))
    grads["dW1"] = 1 / m * np.dot(dZ1, X.T)
    grads["db1"] = 1 / m * np.sum(dZ1, axis=1, keepdims=True)
    return cost, grads


np.random.seed(2)
X = np.random.randn(2, 40)
Y = (X[0:1] * X[1:2] > 0).astype(int)
params = {
    "W1": np.random.randn(4, 2) * 0.5,
    "b1": np.zeros((4, 1)),
    "W2": np.random.randn(1, 4),
    "b2": np.zeros((1, 1)),
}
for i in range(100):
    cost, grads = loss_and_grads(params, X, Y)
    for k in params:
        params[k] = params[k] - 0.5 * grads["d" + k]
print(cost)
