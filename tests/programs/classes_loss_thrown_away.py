"""A small framework whose training loop calls the loss and keeps nothing of it."""

import torch

torch.set_grad_enabled(False)
torch.manual_seed(3)


class Affine:
    def __init__(self, inputs, outputs):
        self.weight = torch.randn(outputs, inputs) / inputs**0.5
        self.bias = torch.randn(outputs) * 0.1

    def forward(self, x):
        self.x = x
        return x @ self.weight.T + self.bias

    def backward(self, gradwrtoutput):
        self.loss_grad_weight = gradwrtoutput.T @ self.x
        self.loss_grad_bias = gradwrtoutput.sum(0)
        gradwrtinput = gradwrtoutput @ self.weight
        return gradwrtinput

    def step(self, rate):
        self.weight = self.weight - rate * self.loss_grad_weight
        self.bias = self.bias - rate * self.loss_grad_bias


class Squash:
    def forward(self, x):
        self.x = x
        self.y = x.tanh()
        return self.y

    def backward(self, gradwrtoutput):
        gradwrtinput = gradwrtoutput * (1 - self.y**2)
        return gradwrtinput

    def step(self, rate):
        pass


class LossSquares:
    def forward(self, output, target):
        self.difference = output - target
        return self.difference.pow(2).mean()

    def backward(self):
        return 2 * self.difference / self.difference.numel()


layers = [Affine(4, 7), Squash(), Affine(7, 1)]
criterion = LossSquares()
inputs = torch.randn(24, 4)
targets = inputs[:, :1] - inputs[:, 1:2]

for epoch in range(30):
    out = inputs
    for layer in layers:
        out = layer.forward(out)
    criterion.forward(out, targets)
    grad = criterion.backward()
    for layer in reversed(layers):
        grad = layer.backward(grad)
    for layer in layers:
        layer.step(0.05)
