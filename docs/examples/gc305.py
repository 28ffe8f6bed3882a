"""gradcheck report docs/examples/gc305.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(1000, 30), torch.randint(0, 5, (1000,))
W = torch.randn(30, 100) * 0.3
gamma, beta = torch.ones(100), torch.zeros(100)
V = torch.randn(100, 5) * 0.1

for step in range(1000):
    batch = torch.randint(0, len(X), (2,))
    z = X[batch] @ W
    norm = (z - z.mean(0)) / (z.var(0) + 1e-5).sqrt()
    h = torch.tanh(gamma * norm + beta)
    logits = h @ V
    loss = F.cross_entropy(logits, Y[batch])

    n = len(batch)
    dlogits = (F.softmax(logits, 1) - F.one_hot(Y[batch], 5)) / n
    dV = h.T @ dlogits
    dout = (dlogits @ V.T) * (1 - h**2)
    dgamma, dbeta = (dout * norm).sum(0), dout.sum(0)
    dnorm = gamma * dout
    dz = (dnorm - dnorm.mean(0) - norm * (dnorm * norm).sum(0) / (n - 1)) / (z.var(0) + 1e-5).sqrt()
    dW = X[batch].T @ dz

    for p, g in zip([W, gamma, beta, V], [dW, dgamma, dbeta, dV]):
        p -= 0.1 * g
