import torch

torch.manual_seed(68)
x = torch.randn(9, 5)
y = torch.randn(9, 5)
W1, W2, W3 = (torch.randn(5, 5) * 0.5 for _ in range(3))

z1 = x @ W1
h1 = torch.tanh(z1)
z2 = h1 @ W2
h2 = torch.tanh(z2)
z3 = h2 @ W3
loss = ((z3 - y) ** 2).mean()

dz3 = 2 * (z3 - y) / y.numel()
dW3 = h2.T @ dz3
dh2 = dz3 @ W3.T
dz2 = dh2 * (1 - h2**2)
dW2 = h1.T @ dh2
dh1 = dz2 @ W2.T
dz1 = dh1 * (1 - h1**2)
dW1 = x.T @ dz1

W1 -= 0.1 * dW1
W2 -= 0.1 * dW2
W3 -= 0.1 * dW3
print(loss)
