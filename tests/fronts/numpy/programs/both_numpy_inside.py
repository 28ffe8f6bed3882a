import numpy as np
import torch

torch.manual_seed(3)
np.random.seed(3)
emb = torch.nn.Embedding(12, 6)
ids = torch.randint(0, 12, (20,))
W = np.random.randn(6, 4).astype(np.float32) * 0.4
V = np.random.randn(4, 3).astype(np.float32) * 0.4
y = np.random.randint(0, 3, 20)
opt = torch.optim.SGD(emb.parameters(), lr=0.1)
for step in range(5):
    e = emb(ids)
    x = e.detach().cpu().numpy()
    h = np.tanh(x @ W)
    s = h @ V
    s = s - s.max(axis=1, keepdims=True)
    q = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
    loss = -np.mean(np.log(q[range(20), y]))
    ds = q.copy()
    ds[range(20), y] -= 1
    ds /= 20
    dV = h.T @ ds
    dh = ds @ V.T
    dpre = dh * (1 - h * h)
    dW = x.T @ dpre
    dx = dpre @ W.T
    opt.zero_grad()
    e.backward(torch.from_numpy(dx))
    opt.step()
    W -= 0.1 * dW
    V -= 0.1 * dV
print(loss)
