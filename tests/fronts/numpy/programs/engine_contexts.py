import numpy as np


class Function:
    def __init__(self, *parents):
        self.parents = parents

    @classmethod
    def apply(cls, *args):
        ctx = cls(*args)
        ret = Var(ctx.forward(*[a.value for a in args]))
        ret.creator = ctx
        return ret


class Dot(Function):
    def forward(self, a, b):
        self.a, self.b = a, b
        return a.dot(b)

    def backward(self, g):
        return g.dot(self.b.T), self.a.T.dot(g)


class ReLU(Function):
    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, g):
        g = g.copy()
        g[self.x < 0] = 0
        return (g,)


class CrossEntropy(Function):
    def forward(self, scores, onehot):
        m = scores - scores.max(axis=1, keepdims=True)
        self.p = np.exp(m) / np.exp(m).sum(axis=1, keepdims=True)
        self.y = onehot
        return -np.mean(np.sum(onehot * np.log(self.p), axis=1))

    def backward(self, g):
        return g * (self.p - self.y) / len(self.y), None


class Var:
    def __init__(self, value):
        self.value, self.grad, self.creator = value, None, None

    def backward(self, g=1.0):
        self.grad = g if self.grad is None else self.grad + g
        if self.creator is not None:
            for parent, grad in zip(self.creator.parents, self.creator.backward(g)):
                if grad is not None:
                    parent.backward(grad)


np.random.seed(0)
x = Var(np.random.randn(10, 4))
y = Var(np.eye(3)[np.random.randint(0, 3, 10)])
w1 = Var(np.random.randn(4, 6) * 0.5)
w2 = Var(np.random.randn(6, 3) * 0.5)
for i in range(4):
    w1.grad = w2.grad = None
    loss = CrossEntropy.apply(Dot.apply(ReLU.apply(Dot.apply(x, w1)), w2), y)
    loss.backward()
    w1.value -= 0.5 * w1.grad
    w2.value -= 0.5 * w2.grad
print(loss.value)
