import numpy as np

tape = []


class Node:
    def __init__(self, v):
        self.v = np.array(v, dtype=float)
        self.g = np.zeros_like(self.v)


def matmul(a, b):
    out = Node(a.v @ b.v)

    def back():
        a.g += out.g @ b.v.T
        b.g += a.v.T @ out.g

    tape.append(back)
    return out


def sigmoid(a):
    s = 1 / (1 + np.exp(-a.v))
    out = Node(s)

    def back():
        a.g += out.g * s * (1 - s)

    tape.append(back)
    return out


def mse(a, target):
    out = Node(np.mean((a.v - target) ** 2))

    def back():
        a.g += out.g * 2 * (a.v - target) / target.size

    tape.append(back)
    return out


rng = np.random.RandomState(0)
x, t = Node(rng.randn(8, 3)), rng.rand(8, 2)
w, v = Node(rng.randn(3, 4)), Node(rng.randn(4, 2))
for epoch in range(5):
    tape.clear()
    for n in (w, v):
        n.g[...] = 0
    out = sigmoid(matmul(sigmoid(matmul(x, w)), v))
    loss = mse(out, t)
    loss.g[...] = 1
    for back in reversed(tape):
        back()
    for n in (w, v):
        n.v -= 1.0 * n.g
print(loss.v)
