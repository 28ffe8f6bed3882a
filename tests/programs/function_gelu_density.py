import math

import torch
import torch.nn.functional as F


class Gelu(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))

    @staticmethod
    def setup_context(ctx, inputs, output):
        (x,) = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        cdf = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
        pdf = torch.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
        return grad_output * (cdf + pdf)


class SoftmaxCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(scores, labels, smoothing=0.0):
        logprobs = scores - scores.logsumexp(1, keepdim=True)
        hard = -logprobs.gather(1, labels[:, None]).mean()
        return (1 - smoothing) * hard - smoothing * logprobs.mean()

    @staticmethod
    def setup_context(ctx, inputs, output):
        scores, labels, smoothing = inputs
        ctx.save_for_backward(scores, labels)
        ctx.smoothing = smoothing

    @staticmethod
    def backward(ctx, grad_output):
        scores, labels = ctx.saved_tensors
        soft = (1 - ctx.smoothing) * F.one_hot(labels, scores.shape[1]) + ctx.smoothing / scores.shape[1]
        grad_scores = (scores.softmax(1) - soft) / len(labels)
        return grad_output * grad_scores, None, None


torch.manual_seed(73)
X = torch.randn(30, 5)
y = torch.randint(0, 4, (30,))
U = (0.5 * torch.randn(5, 11)).requires_grad_()
V = (0.5 * torch.randn(11, 4)).requires_grad_()
opt = torch.optim.SGD([U, V], lr=0.5)
for step in range(200):
    loss = SoftmaxCrossEntropy.apply(Gelu.apply(X @ U) @ V, y, smoothing=0.1)
    opt.zero_grad()
    loss.backward()
    opt.step()
