"""Binary classification: the backward pass of the loss builds its gradient with the wrong sign and turns it round."""

import torch

torch.set_grad_enabled(False)
torch.manual_seed(11)


class BinaryLoss:
    def forward(self, probability, target):
        self.probability = probability.view(-1)
        self.target = target
        likelihood = target * self.probability.log() + (1 - target) * (1 - self.probability).log()
        return -likelihood.mean()

    def backward(self):
        grad = self.target / self.probability
        grad -= (1 - self.target) / (1 - self.probability)
        return -grad.unsqueeze(1)


class Logistic:
    def forward(self, x):
        self.y = 1 / (1 + (-x).exp())
        return self.y

    def backward(self, grad):
        return grad * self.y * (1 - self.y)


x = torch.randn(40, 6)
labels = (x[:, 0] + x[:, 1] > 0).float()
W = torch.randn(6, 1) * 0.3
b = torch.zeros(1)
criterion, activation = BinaryLoss(), Logistic()

for epoch in range(50):
    z = x @ W + b
    p = activation.forward(z)
    loss = criterion.forward(p, labels)
    grad_p = criterion.backward()
    grad_z = activation.backward(grad_p)
    grad_W = x.T @ grad_z
    grad_b = grad_z.sum(0)
    W -= 0.01 * grad_W
    b -= 0.01 * grad_b
