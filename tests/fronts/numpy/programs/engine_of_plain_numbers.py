import math
import random


class Scalar:
    def __init__(self, data, parents=()):
        self.data = data
        self.grad = 0.0
        self.parents = parents
        self.back = lambda: None

    def __add__(self, other):
        out = Scalar(self.data + other.data, (self, other))

        def back():
            self.grad += out.grad
            other.grad += out.grad

        out.back = back
        return out

    def __mul__(self, other):
        out = Scalar(self.data * other.data, (self, other))

        def back():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.back = back
        return out

    def minus(self, number):
        out = Scalar(self.data - number, (self,))

        def back():
            self.grad += out.grad

        out.back = back
        return out

    def squash(self):
        t = math.tanh(self.data)
        out = Scalar(t, (self,))

        def back():
            self.grad += (1 - t * t) * out.grad

        out.back = back
        return out

    def backward(self):
        order, seen = [], set()

        def visit(node):
            if node not in seen:
                seen.add(node)
                for parent in node.parents:
                    visit(parent)
                order.append(node)

        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            node.back()


random.seed(5)
first = [[Scalar(random.uniform(-1, 1)) for _ in range(2)] for _ in range(3)]
second = [Scalar(random.gauss(0, 1)) for _ in range(3)]
weights = [w for row in first for w in row] + second
for epoch in range(20):
    inputs = [Scalar(random.random()), Scalar(random.random())]
    hidden = [(row[0] * inputs[0] + row[1] * inputs[1]).squash() for row in first]
    out = hidden[0] * second[0] + hidden[1] * second[1] + hidden[2] * second[2]
    off = out.minus(0.7)
    loss = off * off
    for w in weights:
        w.grad = 0.0
    loss.backward()
    for w in weights:
        w.data -= 0.1 * w.grad
    print(epoch, loss.data)
