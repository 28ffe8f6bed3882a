import math

import torch


class Affine:
    def __init__(self, fan_in, fan_out):
        edge = 1.0 / math.sqrt(fan_in)
        self.weight = torch.Tensor(fan_out, fan_in).uniform_(-edge, edge)
        self.bias = torch.Tensor(fan_out).uniform_(-edge, edge)
        self.grad_weight = torch.zeros_like(self.weight)
        self.grad_bias = torch.zeros_like(self.bias)

    def forward(self, given):
        self.given = given
        return torch.mm(given, self.weight.T) + self.bias

    def backward(self, grad_out):
        self.grad_weight = torch.mm(grad_out.T, self.given)
        self.grad_bias = grad_out.sum(axis=0)
        return torch.mm(grad_out, self.weight)


torch.manual_seed(77)
points = torch.randn(40, 2)
wanted = torch.stack([points.prod(1), points.sum(1)], 1)
first, second = Affine(2, 9), Affine(9, 2)
rate = 0.05

for round_number in range(4000):
    pre = first.forward(points)
    act = torch.max(pre, torch.zeros_like(pre))
    answer = second.forward(act)
    loss = torch.sum((wanted - answer) ** 2) / answer.shape[0]
    grad_answer = -2 * (wanted - answer) / answer.shape[0]
    grad_act = second.backward(grad_answer)
    pre[pre <= 0] = 0
    pre[pre > 0] = 1
    grad_pre = grad_act * pre
    first.backward(grad_pre)
    for layer in (first, second):
        for tensor, slope in ((layer.weight, layer.grad_weight), (layer.bias, layer.grad_bias)):
            step = rate * slope
            tensor.add_(-step)
print(loss.item())
