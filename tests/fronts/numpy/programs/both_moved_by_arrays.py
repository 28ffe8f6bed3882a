import numpy as np
import torch

torch.manual_seed(0)
model = torch.nn.Linear(4, 2)
X = np.random.RandomState(0).randn(20, 4).astype(np.float32)
T = np.random.RandomState(1).randn(20, 2).astype(np.float32)
for _ in range(5):
    out = model(torch.from_numpy(X))
    loss = ((out - torch.from_numpy(T)) ** 2).mean()
    grad_out = 2 * (out.detach().numpy() - T) / T.size
    grad_w = grad_out.T @ X
    grad_b = grad_out.sum(axis=0)
    with torch.no_grad():
        model.weight -= 0.1 * torch.from_numpy(grad_w)
        model.bias -= 0.1 * torch.from_numpy(grad_b)
print(loss.item())
