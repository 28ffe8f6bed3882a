import numpy as np
import torch

torch.manual_seed(0)
C = torch.randn(7, 3, dtype=torch.float64)
ids = np.array([0, 3, 3, 5])
E = C[ids]
v = np.random.RandomState(0).randn(3)
s = E.numpy() @ v
loss = (s ** 2).sum()
ds = 2 * s
dE = np.outer(ds, v)
dv = E.numpy().T @ ds
dC = torch.zeros_like(C)
for k, i in enumerate(ids):
    dC[i] += torch.from_numpy(dE[k])
print(dC.sum(), dv)
