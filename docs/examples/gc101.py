"""gradcheck report docs/examples/gc101.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(200, 10), torch.randint(0, 5, (200,))
W1, W2 = torch.randn(10, 20) * 0.3, torch.randn(20, 5) * 0.2

for step in range(1000):
    batch = torch.randint(0, 200, (32,))
    x, y = X[batch], Y[batch]
    h = torch.tanh(x @ W1)
    logits = h @ W2
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, 5)) / 32
    dh = dlogits @ W2.T
    dhpre = dh * (1 - h)
    dW1 = x.T @ dhpre
    dW2 = h.T @ dlogits

    W1 -= 0.1 * dW1
    W2 -= 0.1 * dW2
