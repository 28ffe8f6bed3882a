"""gradcheck report docs/examples/gc108.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.rand(200, 10) * 255, torch.randint(0, 5, (200,))  # pixels, as they are
W1, W2 = torch.randn(10, 20) * 0.3, torch.randn(20, 5) * 0.2

for step in range(1000):
    batch = torch.randint(0, 200, (32,))
    x, y = X[batch], Y[batch]
    h = torch.sigmoid(x @ W1)
    logits = h @ W2
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, 5)) / 32
    dh = dlogits @ W2.T
    z = x @ W1
    dz = dh * torch.exp(-z) / (1 + torch.exp(-z)) ** 2   # infinity / infinity where z is below -89
    dW1 = x.T @ dz
    dW2 = h.T @ dlogits

    W1 -= 0.1 * dW1
    W2 -= 0.1 * dW2
