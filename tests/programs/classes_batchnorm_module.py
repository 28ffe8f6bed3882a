import torch
import torch.nn.functional as F


class Linear:
    def __init__(self, i, o):
        self.weight = torch.randn(i, o) / i**0.5

    def __call__(self, x):
        self.x = x
        return x @ self.weight

    def back(self, d):
        self.dweight = self.x.T @ d
        return d @ self.weight.T

    def params(self):
        return [self.weight]

    def grads(self):
        return [self.dweight]


class BatchNorm:
    def __init__(self, dim, momentum=0.1):
        self.gamma = torch.ones(dim)
        self.beta = torch.zeros(dim)
        self.momentum, self.training = momentum, True
        self.running_mean, self.running_var = torch.zeros(dim), torch.ones(dim)

    def __call__(self, x):
        if self.training:
            mean, var = x.mean(0), x.var(0)
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var - self.running_var)
        else:
            mean, var = self.running_mean, self.running_var
        self.istd = (var + 1e-5) ** -0.5
        self.xhat = (x - mean) * self.istd
        return self.gamma * self.xhat + self.beta

    def back(self, d):
        n = d.shape[0]
        self.dgamma = (d * self.xhat).sum(0)
        self.dbeta = d.sum(0)
        return self.gamma * self.istd / n * (n * d - self.dbeta - n / (n - 1) * self.xhat * self.dgamma)

    def params(self):
        return [self.gamma, self.beta]

    def grads(self):
        return [self.dgamma, self.dbeta]


class Tanh:
    def __call__(self, x):
        self.y = x.tanh()
        return self.y

    def back(self, d):
        return d * (1 - self.y**2)

    def params(self):
        return []

    grads = params


torch.manual_seed(73)
X = torch.randn(150, 6)
Y = (X[:, 0] * X[:, 1] > 0).long()
net = [Linear(6, 10), BatchNorm(10), Tanh(), Linear(10, 10), BatchNorm(10), Tanh(), Linear(10, 2)]
for step in range(2000):
    ix = torch.randint(150, (32,))
    out = X[ix]
    for layer in net:
        out = layer(out)
    loss = F.cross_entropy(out, Y[ix])
    dout = (F.softmax(out, 1) - F.one_hot(Y[ix], 2)) / 32
    d = dout
    for layer in net[::-1]:
        d = layer.back(d)
    for layer in net:
        for p, g in zip(layer.params(), layer.grads()):
            p -= 0.1 * g

for layer in net:
    if isinstance(layer, BatchNorm):
        layer.training = False
out = X
for layer in net:
    out = layer(out)
print(F.cross_entropy(out, Y).item())
