import numpy as np
import torch

torch.manual_seed(0)
x = torch.randn(8, 3)
y = torch.randn(8, 2)
W1 = torch.randn(3, 4, requires_grad=True)
W2 = torch.randn(4, 2, requires_grad=True)
z = x @ W1
h = torch.sigmoid(z)
out = h @ W2
loss = torch.mean((out - y) ** 2)
loss.backward()

h_np = h.detach().numpy()
out_np = out.detach().numpy()
d_out = 2 * (out_np - y.numpy()) / out_np.size
d_W2 = h_np.T.dot(d_out)
d_h = d_out.dot(W2.detach().numpy().T)
d_z = d_h * h_np * (1 - h_np)
d_W1 = x.numpy().T.dot(d_z)
print(np.allclose(d_W1, W1.grad.numpy(), atol=1e-6), np.allclose(d_W2, W2.grad.numpy(), atol=1e-6))
