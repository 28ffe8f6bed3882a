import torch
import torch.nn.functional as F

torch.manual_seed(71)
dims = [8, 16, 16, 16, 16, 3]
L = len(dims) - 1
Ws = [torch.randn(dims[i], dims[i + 1]) * (2 / dims[i]) ** 0.5 for i in range(L)]
bs = [torch.zeros(dims[i + 1]) for i in range(L)]
velocity = [torch.zeros_like(p) for p in Ws + bs]
X = torch.randn(200, 8)
Y = (X[:, :3]).argmax(1)

for step in range(10_000):
    ix = torch.randint(0, 200, (24,))
    xb, yb = X[ix], Y[ix]
    acts, zs = [xb], []
    for i in range(L):
        z = acts[-1] @ Ws[i] + bs[i]
        zs.append(z)
        acts.append(z.relu() if i < L - 1 else z)
    loss = F.cross_entropy(acts[-1], yb)

    dz = F.softmax(acts[-1], 1)
    dz[range(24), yb] -= 1
    dz = dz / 24
    dWs, dbs = [], []
    for i in reversed(range(L)):
        dW = acts[i].T @ dz
        db = dz.sum(0)
        dWs.insert(0, dW)
        dbs.insert(0, db)
        if i > 0:
            da = dz @ Ws[i].T
            dz = da * (zs[i - 1] > 0)

    total = sum((g**2).sum() for g in dWs + dbs) ** 0.5
    if total > 1.0:
        for g in dWs + dbs:
            g.mul_(1.0 / total)
    for p, g, v in zip(Ws + bs, dWs + dbs, velocity):
        v.mul_(0.9).add_(g)
        p.add_(v, alpha=-0.05)
