"""Each layer moves its weights as the error passes through it, one sample at a time."""

import numpy as np


class Full:
    def __init__(self, size_in, size_out):
        self.weights = np.random.rand(size_in, size_out) - 0.5
        self.bias = np.random.rand(1, size_out) - 0.5

    def forward_propagation(self, data):
        self.input = data
        return np.dot(data, self.weights) + self.bias

    def backward_propagation(self, output_error, learning_rate):
        input_error = np.dot(output_error, self.weights.T)
        weights_error = np.dot(self.input.T, output_error)
        self.weights -= learning_rate * weights_error
        self.bias -= learning_rate * output_error
        return input_error


class Tanh:
    def forward_propagation(self, data):
        self.input = data
        return np.tanh(data)

    def backward_propagation(self, output_error, learning_rate):
        return (1 - np.tanh(self.input) ** 2) * output_error


def mse_prime(y_true, y_pred):
    return 2 * (y_pred - y_true) / y_true.size


np.random.seed(1)
samples = np.array([[[1, 0]], [[0, 1]], [[1, 1]], [[0, 0]]], dtype=float)
targets = np.array([[[1]], [[1]], [[0]], [[0]]], dtype=float)
network = [Full(2, 3), Tanh(), Full(3, 1), Tanh()]
for epoch in range(20):
    for sample, target in zip(samples, targets):
        output = sample
        for layer in network:
            output = layer.forward_propagation(output)
        loss = np.mean(np.power(target - output, 2))
        error = mse_prime(target, output)
        for layer in reversed(network):
            error = layer.backward_propagation(error, 0.1)
