import torch

torch.manual_seed(64)
X = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
W1 = 2 * torch.rand(3, 6) - 1
W2 = 2 * torch.rand(6, 1) - 1
lr = 0.8

for j in range(60000):
    z1 = X @ W1
    l1 = torch.sigmoid(z1)
    z2 = l1 @ W2
    l2 = torch.sigmoid(z2)
    loss = 0.5 * ((l2 - y) ** 2).sum()
    delta2 = (l2 - y) * l2 * (1 - l2)
    delta1 = (delta2 @ W2.T) * l1 * (1 - l1)
    W2 -= lr * (l1.T @ delta2)
    W1 -= lr * (X.T @ delta1)
    if j % 10000 == 0:
        print("error", loss.item())
