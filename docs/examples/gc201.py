"""gradcheck report docs/examples/gc201.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(2000, 30), torch.randint(0, 5, (2000,))
W1 = torch.randn(30, 200)
W2 = torch.randn(200, 5) * 0.1

for step in range(1000):
    batch = torch.randint(0, 2000, (32,))
    x, y = X[batch], Y[batch]
    h = torch.relu(x @ W1 - 20)
    logits = h @ W2
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, 5)) / 32
    dW2 = h.T @ dlogits
    dz = (dlogits @ W2.T) * (h > 0)
    dW1 = x.T @ dz

    W1 -= 0.1 * dW1
    W2 -= 0.1 * dW2
