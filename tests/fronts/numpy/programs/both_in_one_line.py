import numpy as np
import torch

torch.manual_seed(0)
A = np.random.RandomState(0).randn(6, 4)
w = torch.randn(4, 2, dtype=torch.float64)
y = np.random.RandomState(1).randn(6, 2)
z = torch.from_numpy(A) @ w
h = np.maximum(z, 0)
scale = np.linspace(0.5, 1.5, 2)
o = h * scale
loss = ((o - torch.from_numpy(y)) ** 2).mean()
do = 2 * (o - torch.from_numpy(y)) / y.size
dh = do * scale
dz = dh * (z > 0)
dw = torch.from_numpy(A).T @ dz
print(loss, dw)
