import numpy as np
import torch

torch.manual_seed(1)
x = torch.randn(10, 4, dtype=torch.float64)
w = torch.randn(4, 5, dtype=torch.float64)
v = torch.randn(5, 1, dtype=torch.float64)
t = torch.randn(10, 1, dtype=torch.float64)

z = np.asarray(x) @ np.asarray(w)
h = np.where(z > 0, z, 0.1 * z)
o = h @ np.array(v)
loss = ((o - np.asarray(t)) ** 2).sum() / 10
do = 2 * (o - np.asarray(t)) / 10
dv = h.T @ do
dh = do @ np.asarray(v).T
dz = dh * np.where(z > 0, 1.0, 0.1)
dw = np.asarray(x).T @ dz

w.requires_grad_()
v.requires_grad_()
loss_t = ((torch.nn.functional.leaky_relu(x @ w, 0.1) @ v - t) ** 2).sum() / 10
loss_t.backward()
np.testing.assert_allclose(loss, loss_t.item())
print(np.abs(dw - w.grad.numpy()).max(), np.abs(dv - v.grad.numpy()).max())
