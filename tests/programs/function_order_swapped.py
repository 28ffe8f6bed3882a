import torch
from torch import nn


class Binarize(torch.autograd.Function):
    """A step forwards, a clipped straight line backwards."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x >= 0).float() * 2 - 1

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1)


class Bilinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left, right):
        ctx.save_for_backward(left, right)
        return left @ right

    @staticmethod
    def backward(ctx, grad):
        left, right = ctx.saved_tensors
        grad_left = grad @ right.T
        grad_right = left.T @ grad
        return grad_right, grad_left


torch.manual_seed(76)
codes = torch.randn(6, 6)
goal = (torch.randn(6, 6) > 0).float()
A = nn.Parameter(torch.randn(6, 6) * 0.5)
B = nn.Parameter(torch.randn(6, 6) * 0.5)
optimizer = torch.optim.SGD([A, B], lr=0.1)
for epoch in range(60):
    bits = Binarize.apply(Bilinear.apply(codes, A))
    loss = nn.functional.binary_cross_entropy_with_logits(Bilinear.apply(bits, B), goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
