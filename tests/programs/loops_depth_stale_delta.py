import torch

torch.manual_seed(18)
depth, width, n = 3, 6, 10
W = [torch.randn(width, width) / width**0.5 for _ in range(depth)]
inputs = torch.randn(n, width)
target = torch.tanh(torch.randn(n, width))

a = [inputs]
for i in range(depth):
    a.append(torch.tanh(a[i] @ W[i]))
loss = 0.5 * ((a[-1] - target) ** 2).sum(1).mean()

dW = [None] * depth
delta = (a[-1] - target) / n * (1 - a[-1] ** 2)
dW[depth - 1] = a[depth - 1].T @ delta
for i in range(depth - 2, -1, -1):
    dW[i] = a[i].T @ delta
    delta = (delta @ W[i + 1].T) * (1 - a[i + 1] ** 2)
for i in range(depth):
    W[i] -= 0.1 * dW[i]
print(loss.item())
