"""gradcheck report docs/examples/gc301.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(1000, 30), torch.randint(0, 5, (1000,))
W = torch.randn(30, 100) * 0.3
gamma, beta = torch.ones(100), torch.zeros(100)
V = torch.randn(100, 5) * 0.1

for step in range(1000):
    batch = torch.randint(0, 1000, (32,))
    x, y = X[batch], Y[batch]
    z = x @ W
    centred = z - z.mean(0, keepdim=True)
    var = (centred**2).mean(0, keepdim=True)
    norm = centred * (var + 1e-5) ** 0.5     # multiplies by the standard deviation
    h = torch.tanh(gamma * norm + beta)
    logits = h @ V
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, 5)) / 32
    dV = h.T @ dlogits
    dout = (dlogits @ V.T) * (1 - h**2)
    dgamma, dbeta = (dout * norm).sum(0), dout.sum(0)
    dnorm = gamma * dout
    dz = (dnorm - dnorm.mean(0) - norm * (dnorm * norm).mean(0)) * (var + 1e-5) ** -0.5
    dW = x.T @ dz

    for p, g in zip([W, gamma, beta, V], [dW, dgamma, dbeta, dV]):
        p -= 0.1 * g
