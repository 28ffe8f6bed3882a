import numpy as np


def squash(z):
    return 1 / (1 + np.exp(-z))


def squash_prime(z):
    return squash(z) * (1 - squash(z))


class Net:
    """Sizes in a list; every sample has a backward pass of its own, whose gradients are added up."""

    def __init__(self, sizes):
        self.count = len(sizes)
        self.shifts = [np.random.randn(n, 1) for n in sizes[1:]]
        self.weights = [np.random.randn(n, m) for m, n in zip(sizes[:-1], sizes[1:])]

    def learn(self, samples, rate):
        all_b = [np.zeros(b.shape) for b in self.shifts]
        all_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in samples:
            grad_b, grad_w = self.back(x, y)
            all_b = [total + g for total, g in zip(all_b, grad_b)]
            all_w = [total + g for total, g in zip(all_w, grad_w)]
        self.weights = [w - rate / len(samples) * g for w, g in zip(self.weights, all_w)]
        self.shifts = [b - rate / len(samples) * g for b, g in zip(self.shifts, all_b)]

    def back(self, x, y):
        grad_b, grad_w = [None] * (self.count - 1), [None] * (self.count - 1)
        outs, zs = [x], []
        for b, w in zip(self.shifts, self.weights):
            zs.append(w @ outs[-1] + b)
            outs.append(squash(zs[-1]))
        delta = (outs[-1] - y) * squash_prime(zs[-1])
        grad_b[-1], grad_w[-1] = delta, delta @ outs[-2].T
        for back in range(2, self.count):
            slope = squash_prime(zs[-back])
            delta = self.weights[1 - back].T @ delta * slope
            grad_b[-back], grad_w[-back] = delta, delta @ outs[-back - 1].T
        return grad_b, grad_w


np.random.seed(0)
samples = [(np.random.randn(4, 1), np.eye(2)[:, [i % 2]]) for i in range(4)]
net = Net([4, 5, 3, 2])
for epoch in range(2):
    net.learn(samples, 0.5)
