import numpy as np


def squash(z):
    return 1.0 / (1.0 + np.exp(-z))


class Stack:
    def __init__(self, widths, rng):
        self.offsets = [rng.randn(n, 1) for n in widths[1:]]
        self.matrices = [rng.randn(n, m) for m, n in zip(widths[:-1], widths[1:])]

    def learn(self, samples, rate):
        sum_b = [np.zeros(b.shape) for b in self.offsets]
        sum_w = [np.zeros(w.shape) for w in self.matrices]
        for x, y in samples:
            one_b, one_w = self.of_one(x, y)
            sum_b = [total + one for total, one in zip(sum_b, one_b)]
            sum_w = [total + one for total, one in zip(sum_w, one_w)]
        self.matrices = [w - rate / len(samples) * g for w, g in zip(self.matrices, sum_w)]
        self.offsets = [b - rate / len(samples) * g for b, g in zip(self.offsets, sum_b)]

    def of_one(self, x, y):
        grad_b = [None] * len(self.offsets)
        grad_w = [None] * len(self.matrices)
        outputs, sums = [x], []
        for b, w in zip(self.offsets, self.matrices):
            sums.append(np.dot(w, outputs[-1]) + b)
            outputs.append(squash(sums[-1]))
        delta = (outputs[-1] - y) * squash(sums[-1]) * (1 - squash(sums[-1]))
        grad_b[-1] = delta
        grad_w[-1] = np.dot(delta, outputs[-2].T)
        for back in range(2, len(outputs)):
            out = squash(sums[-back])
            delta = np.dot(self.matrices[-back + 1].T, delta) * out * (1 - out)
            grad_b[-back] = delta
            grad_w[-back] = np.dot(delta, outputs[-back - 1].T)
        return grad_b, grad_w


rng = np.random.RandomState(2)
data = [(rng.rand(5, 1), np.eye(2)[:, [k % 2]]) for k in range(8)]
stack = Stack([5, 4, 3, 2], rng)
for epoch in range(3):
    rng.shuffle(data)
    for start in range(0, len(data), 4):
        stack.learn(data[start : start + 4], 2.0)
