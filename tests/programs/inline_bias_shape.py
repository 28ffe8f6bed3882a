import torch

torch.manual_seed(15)
x = torch.randn(10, 4)
y = torch.randn(10, 3)
W1 = torch.randn(4, 6)
b1 = torch.zeros(6)
W2 = torch.randn(6, 3)
b2 = torch.zeros(3)

z1 = x @ W1 + b1
a1 = torch.sigmoid(z1)
z2 = a1 @ W2 + b2
loss = ((z2 - y) ** 2).sum() / x.size(0)

dz2 = 2 * (z2 - y) / x.size(0)
dW2 = a1.T @ dz2
db2 = dz2
da1 = dz2 @ W2.T
dz1 = da1 * a1 * (1 - a1)
dW1 = x.T @ dz1
db1 = dz1.sum(0, keepdim=True)

W1 = W1 - 0.1 * dW1
b1 = b1 - 0.1 * db1
W2 = W2 - 0.1 * dW2
b2 = b2 - 0.1 * db2
print(loss.item(), b2.shape)
