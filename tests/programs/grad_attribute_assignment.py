import torch

torch.manual_seed(45)
x = torch.randn(32, 5)
y = x.abs().sum(1, keepdim=True)
W1 = torch.randn(5, 12) * 0.5
b1 = torch.randn(12) * 0.1
W2 = torch.randn(12, 1) * 0.5
b2 = torch.zeros(1)
params = [W1, b1, W2, b2]
m1 = [torch.zeros_like(p) for p in params]
m2 = [torch.zeros_like(p) for p in params]
slope = 0.1

for t in range(1, 2001):
    pre = x @ W1 + b1
    act = torch.where(pre > 0, pre, slope * pre)
    pred = act @ W2 + b2
    loss = (pred - y).square().mean()

    dpred = 2.0 / y.numel() * (pred - y)
    W2.grad = act.T @ dpred
    b2.grad = dpred.sum(0)
    dact = dpred @ W2.T
    dpre = torch.where(pre > 0, dact, torch.zeros_like(dact))
    W1.grad = x.T @ dpre
    b1.grad = dpre.sum(0)

    for p, a, v in zip(params, m1, m2):
        a.mul_(0.9).add_(0.1 * p.grad)
        v.mul_(0.999).add_(0.001 * p.grad**2)
        p -= 0.01 * (a / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
