"""A residual network whose stream is changed in place after its branch has read it, with clipping by norm."""

import torch

torch.manual_seed(5)
width, classes = 10, 5
W_in = torch.randn(6, width) * 0.4
A = torch.randn(width, width) * 0.3
gain = 1 + 0.2 * torch.randn(width)
shift = 0.2 * torch.randn(width)
W_out = torch.randn(width, classes) * 0.4
x = torch.randn(16, 6)
y = torch.randint(0, classes, (16,))
rate, most = 0.1, 0.05

for step in range(100):
    # forward
    entry = x @ W_in
    stream = entry * 1.0
    branch_in = stream.clone()
    branch = torch.tanh(stream @ A)
    stream += branch
    mean = stream.mean(-1, keepdim=True)
    deviation = (stream.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    x_hat = (stream - mean) / deviation
    logits = (gain * x_hat + shift) @ W_out
    probs = logits.softmax(-1)
    loss = -probs[range(16), y].log().mean()

    # backward
    grads = {}
    grad_logits = probs.clone()
    grad_logits[range(16), y] -= 1
    grad_logits /= 16
    grads["W_out"] = (gain * x_hat + shift).T @ grad_logits
    grad_normed = grad_logits @ W_out.T
    grads["gain"] = (grad_normed * x_hat).sum(0)
    grads["shift"] = grad_normed.sum(0)
    grad_x_hat = grad_normed * gain
    mean_grad = grad_x_hat.mean(-1, keepdim=True)
    mean_both = (grad_x_hat * x_hat).mean(-1, keepdim=True)
    grad_sum = (grad_x_hat - mean_grad - x_hat * mean_both) / deviation
    grad_pre = grad_sum * (1 - branch**2)
    grads["A"] = branch_in.T @ grad_pre
    grad_stream = grad_pre @ A.T
    grad_entry = grad_sum + grad_stream
    grads["W_in"] = x.T @ grad_entry

    norm = sum(g.pow(2).sum() for g in grads.values()).sqrt().item()
    if norm > most:
        share = most / (norm + 1e-6)
        for key in grads:
            grads[key] = grads[key] * share
    W_in -= rate * grads["W_in"]
    A -= rate * grads["A"]
    gain -= rate * grads["gain"]
    shift -= rate * grads["shift"]
    W_out -= rate * grads["W_out"]
