import torch
import torch.nn.functional as F

torch.manual_seed(101)
inputs = torch.randn(48, 7)
targets = (inputs[:, 0] * inputs[:, 1] > 0).long()
W1 = torch.randn(7, 12) * 0.4
b1 = torch.zeros(12)
W2 = torch.randn(12, 2) * 0.3
b2 = torch.zeros(2)
parameters = [W1, b1, W2, b2]
velocities = [torch.zeros_like(p) for p in parameters]
momentum, decay, lr = 0.9, 1e-3, 0.2

for step in range(2000):
    pre = inputs @ W1 + b1
    h = torch.tanh(pre)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, targets)

    d_logits = (F.softmax(logits, 1) - F.one_hot(targets, 2)) / 48
    d_W2 = h.T @ d_logits
    d_b2 = d_logits.sum(0)
    d_pre = (d_logits @ W2.T) * (1 - h**2)
    d_W1 = inputs.T @ d_pre
    d_b1 = d_pre.sum(0)

    rate = lr if step < 1500 else lr / 10
    for p, v, g in zip(parameters, velocities, [d_W1, d_b1, d_W2, d_b2]):
        g = g + decay * p
        v.mul_(momentum).add_(g)
        p -= rate * v
print(loss.item())
