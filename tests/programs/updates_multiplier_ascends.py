import torch

torch.manual_seed(106)
X = torch.randn(25, 3)
y = torch.randn(25)
w = torch.randn(3)
b = torch.zeros(())
lam = torch.zeros(())

for i in range(500):
    pred = X @ w + b
    excess = (w * w).sum() - 1.0
    loss = ((pred - y) ** 2).mean() + lam * excess
    dpred = 2 * (pred - y) / 25
    dlam = (w * w).sum() - 1.0
    dw = X.T @ dpred + 2 * lam * w
    db = dpred.sum()
    w -= 0.05 * dw
    b -= 0.05 * db
    lam += 0.05 * dlam
print(loss.item(), w.norm().item())
