import torch

torch.manual_seed(0)
X = torch.rand(64, 2) * 2 - 1
T = torch.sin(3 * X[:, :1]) * X[:, 1:]

W1 = torch.randn(2, 14) * 0.7
b1 = torch.zeros(14)
W2 = torch.randn(14, 8) * 0.4
b2 = torch.zeros(8)
W3 = torch.randn(8, 1) * 0.5
b3 = torch.zeros(1)
lr = 0.05

for epoch in range(5000):
    z1 = X @ W1 + b1
    a1 = torch.tanh(z1)
    z2 = a1 @ W2 + b2
    a2 = torch.tanh(z2)
    out = a2 @ W3 + b3
    diff = out - T
    loss = (diff**2).mean()

    grad_out = 2 * diff / diff.numel()
    grad_W3 = a2.t() @ grad_out
    grad_b3 = grad_out.sum(0)
    grad_a2 = grad_out @ W3.t()
    grad_z2 = grad_a2 * (1 - a2**2)
    grad_W2 = a1.t() @ grad_z2
    grad_b2 = grad_z2.sum(0)
    grad_a1 = grad_z2 @ W2.t()
    grad_z1 = grad_a1 * (1 - a1)
    grad_W1 = X.t() @ grad_z1
    grad_b1 = grad_z1.sum(0)

    W1 -= lr * grad_W1
    b1 -= lr * grad_b1
    W2 -= lr * grad_W2
    b2 -= lr * grad_b2
    W3 -= lr * grad_W3
    b3 -= lr * grad_b3
    if epoch % 500 == 0:
        print(f"epoch {epoch}: {loss:.5f}")
