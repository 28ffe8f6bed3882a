"""A network of two layers in a class; nobody computes a loss, the backward pass begins with the difference."""
import numpy as np


class Net:
    def __init__(self, sizes, seed=4):
        rng = np.random.RandomState(seed)
        self.w = [rng.uniform(-1, 1, (n, m)) for n, m in zip(sizes[:-1], sizes[1:])]
        self.b = [np.zeros((1, m)) for m in sizes[1:]]

    def forward(self, x):
        self.a = [x]
        for w, b in zip(self.w, self.b):
            self.a.append(np.tanh(self.a[-1] @ w + b))
        return self.a[-1]

    def train(self, x, y, rate=0.05, turns=200):
        for turn in range(turns):
            out = self.forward(x)
            miss = out - y
            if turn % 50 == 0:
                print("mean miss", np.mean(np.abs(miss)))
            delta = miss * (1 - out**2)
            for i in reversed(range(len(self.w))):
                dw = self.a[i].T @ delta
                db = delta.sum(axis=0, keepdims=True)
                delta = delta @ self.w[i].T * (1 - self.a[i] ** 2)
                self.w[i] -= rate * dw
                self.b[i] -= rate * db


points = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
Net([2, 5, 1]).train(points, np.array([[0], [1], [1], [0]]))
