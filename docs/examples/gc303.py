"""gradcheck report docs/examples/gc303.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(1000, 30), torch.randint(0, 5, (1000,))
W = torch.randn(30, 100) * 0.3
running_mean, running_var = torch.zeros(100), torch.ones(100)
gamma, beta = torch.ones(100), torch.zeros(100)
V = torch.randn(100, 5) * 0.1

for step in range(1000):
    batch = torch.randint(0, 1000, (32,))
    x, y = X[batch], Y[batch]
    z = x @ W
    var = z.var(0)                                        # over n - 1
    norm = (z - z.mean(0)) / (var + 1e-5).sqrt()
    running_var = 0.9 * running_var + 0.1 * z.var(0, unbiased=False)
    running_mean = 0.9 * running_mean + 0.1 * z.mean(0)
    out = gamma * norm + beta
    h = torch.tanh(out)
    logits = h @ V
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, 5)) / 32
    dV = h.T @ dlogits
    dout = (dlogits @ V.T) * (1 - h**2)
    dgamma, dbeta = (dout * norm).sum(0), dout.sum(0)
    dnorm = gamma * dout
    dz = (dnorm - dnorm.mean(0) - norm * (dnorm * norm).sum(0) / (len(x) - 1)) / (var + 1e-5).sqrt()
    dW = x.T @ dz

    for p, g in zip([W, gamma, beta, V], [dW, dgamma, dbeta, dV]):
        p -= 0.1 * g

norm = (X @ W - running_mean) / (running_var + 1e-5).sqrt()      # evaluation
logits = torch.tanh(gamma * norm + beta) @ V
print(F.cross_entropy(logits, Y).item())
