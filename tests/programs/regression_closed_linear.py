import torch

torch.manual_seed(4)
x = torch.randn(30, 3)
true_w = torch.tensor([[1.5], [-2.0], [0.7]])
y = x @ true_w + 0.3 + 0.01 * torch.randn(30, 1)

w = torch.zeros(3, 1)
b = torch.zeros(1)
for step in range(500):
    y_hat = x @ w + b
    loss = ((y_hat - y) ** 2).mean()
    dL_dy_hat = 2 * (y_hat - y) / len(y)
    dL_dw = x.T @ dL_dy_hat
    dL_db = dL_dy_hat.sum(0)
    w = w - 0.1 * dL_dw
    b = b - 0.1 * dL_db
print(w.flatten().tolist(), b.item())
