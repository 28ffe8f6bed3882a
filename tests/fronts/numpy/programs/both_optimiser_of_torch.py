import numpy as np
import torch

torch.manual_seed(0)
lin = torch.nn.Linear(3, 2)
opt = torch.optim.SGD(lin.parameters(), lr=0.1)
X = np.random.RandomState(0).randn(8, 3).astype(np.float32)
Y = np.random.RandomState(1).randint(0, 2, 8)
for _ in range(3):
    with torch.no_grad():
        logits = lin(torch.from_numpy(X)).numpy()
    e = np.exp(logits - logits.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(8), Y]).mean()
    d = p.copy()
    d[np.arange(8), Y] -= 1
    d /= 8
    lin.weight.grad = torch.from_numpy(d.T @ X)
    lin.bias.grad = torch.from_numpy(d.sum(0))
    opt.step()
print(loss)
