"""gradcheck report docs/examples/gc203.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(2000, 100), torch.randint(0, 5, (2000,))
Ws = [torch.randn(100, 100) * 0.01 for _ in range(6)]
V = torch.randn(100, 5) * 0.1

for step in range(1000):
    batch = torch.randint(0, 2000, (32,))
    x, y = X[batch], Y[batch]
    h, outputs = x, [x]
    for W in Ws:
        h = torch.tanh(h @ W)
        outputs.append(h)
    logits = h @ V
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, 5)) / 32
    dV = h.T @ dlogits
    dh = dlogits @ V.T
    dWs = []
    for W, before, after in zip(reversed(Ws), reversed(outputs[:-1]), reversed(outputs[1:])):
        dz = dh * (1 - after**2)
        dWs.insert(0, before.T @ dz)
        dh = dz @ W.T

    V -= 0.1 * dV
    for W, dW in zip(Ws, dWs):
        W -= 0.1 * dW
