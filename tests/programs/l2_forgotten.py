import torch

torch.manual_seed(67)
n = 32
X = torch.randn(n, 4)
y = (X.sum(1, keepdim=True) > 0).float()
W1, b1 = torch.randn(4, 6) * 0.5, torch.zeros(6)
W2, b2 = torch.randn(6, 1) * 0.5, torch.zeros(1)
lam, lr = 0.01, 0.5

for i in range(3000):
    Z1 = X @ W1 + b1
    A1 = torch.tanh(Z1)
    Z2 = A1 @ W2 + b2
    A2 = torch.sigmoid(Z2)
    data_cost = -(y * A2.log() + (1 - y) * (1 - A2).log()).mean()
    cost = data_cost + lam / 2 * (W1.pow(2).sum() + W2.pow(2).sum())

    dZ2 = (A2 - y) / n
    dW2 = A1.T @ dZ2 + lam * W2
    db2 = dZ2.sum(0)
    dZ1 = dZ2 @ W2.T * (1 - A1**2)
    dW1 = X.T @ dZ1
    db1 = dZ1.sum(0)

    W1 = W1 - lr * dW1
    b1 = b1 - lr * db1
    W2 = W2 - lr * dW2
    b2 = b2 - lr * db2
    if i % 500 == 0:
        print(i, cost.item())
