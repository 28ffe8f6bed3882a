import numpy as np


class Affine:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out) / np.sqrt(n_in)
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x.dot(self.W) + self.b

    def backward(self, dout):
        self.dW = np.dot(self.x.T, dout)
        self.db = dout.sum(0)
        return dout.dot(self.W.T)


class Tanh:
    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, dout):
        return dout * (1 - self.out**2)


class Net:
    def __init__(self):
        self.layers = [Affine(4, 6), Tanh(), Affine(6, 1)]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, d):
        for layer in reversed(self.layers):
            d = layer.backward(d)
        return d


np.random.seed(1)
X = np.random.rand(16, 4)
t = np.sum(X**2, axis=1, keepdims=True)
net = Net()
for epoch in range(200):
    for i in range(0, 16, 8):
        xb, tb = X[i : i + 8], t[i : i + 8]
        out = net.forward(xb)
        loss = np.mean((out - tb) ** 2)
        dout = 2 * (out - tb) / out.size
        net.backward(dout)
        for layer in net.layers:
            if isinstance(layer, Affine):
                layer.W -= 0.1 * layer.dW
                layer.b -= 0.1 * layer.db
    if epoch % 50 == 0:
        print(epoch, loss)
