import torch

torch.manual_seed(50)
X = torch.randn(18, 3)
T = torch.stack((X.prod(1), X.sum(1).sin()), 1)
W1, W2, W3 = torch.randn(3, 10) * 0.6, torch.randn(10, 7) * 0.4, torch.randn(7, 2) * 0.4

for _ in range(2000):
    z1 = X @ W1
    h1 = z1.tanh()
    z2 = h1 @ W2
    h2 = z2.tanh()
    y = h2 @ W3
    loss = 0.5 * (y - T).pow(2).mean(0).sum()
    dy = (y - T) / len(X)
    dh2 = dy @ W3.T * (1 - h2 * h2)
    dh1 = dh2 @ W2.T * (1 - h1 * h1)
    dW3 = h2.T @ dy
    dW2 = h1.T @ dh2
    dW1 = X.T @ dh1
    W1 -= 0.2 * dW1
    W2 -= 0.2 * dW2
    W3 -= 0.2 * dW3
