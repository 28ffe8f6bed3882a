import torch


class Dense:
    def __init__(self, n_in, n_out):
        self.W = torch.randn(n_in, n_out) / n_in**0.5
        self.b = torch.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad_output):
        self.dW = self.x.T @ grad_output
        self.db = grad_output.sum(dim=0)
        grad_input = grad_output @ self.W.T
        return grad_input

    def step(self, lr):
        self.W = self.W - lr * self.dW
        self.b = self.b - lr * self.db


class Tanh:
    def forward(self, x):
        self.out = torch.tanh(x)
        return self.out

    def backward(self, grad_output):
        return grad_output * (1 - self.out**2)

    def step(self, lr):
        pass


class MSE:
    def forward(self, pred, target):
        self.pred, self.target = pred, target
        return ((pred - target) ** 2).mean()

    def backward(self):
        return 2 * (self.pred - self.target) / self.pred.numel()


torch.manual_seed(8)
inputs = torch.randn(24, 5)
targets = torch.stack([inputs[:, 0] * inputs[:, 1], inputs[:, 2].abs()], dim=1)
layers = [Dense(5, 11), Tanh(), Dense(11, 6), Tanh(), Dense(6, 2)]
criterion = MSE()

for epoch in range(3000):
    out = inputs
    for layer in layers:
        out = layer.forward(out)
    loss = criterion.forward(out, targets)
    grad = criterion.backward()
    for layer in reversed(layers):
        grad = layer.backward(grad)
    for layer in layers:
        layer.step(0.05)
    if epoch % 300 == 0:
        print(epoch, loss.item())
