import numpy as np
import torch

torch.manual_seed(0)
w = torch.randn(5, 3, dtype=torch.float64)
W = w.numpy()          # the same memory
x = np.random.RandomState(0).randn(10, 5)
t = torch.from_numpy(np.random.RandomState(1).randn(10, 3))
for _ in range(3):
    out = torch.from_numpy(x) @ w
    loss = ((out - t) ** 2).sum() / 10
    dout = (2 * (out - t) / 10).numpy()
    dW = x.T @ dout
    W -= 0.05 * dW
print(loss.item(), w[0, 0].item())
