"""gradcheck report docs/examples/gc105.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(200, 10), torch.randint(0, 5, (200,))
W1, b1 = torch.randn(10, 20) * 0.3, torch.zeros(20)
W2, b2 = torch.randn(20, 5) * 0.2, torch.zeros(5)
lr = 0.1

for step in range(1000):
    batch = torch.randint(0, 200, (32,))
    x, y = X[batch], Y[batch]
    h = torch.tanh(x @ W1 + b1)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, 5)) / 32
    dW2, db2 = h.T @ dlogits, dlogits.sum(0)
    dz = (dlogits @ W2.T) * (1 - h**2)
    dW1, db1 = x.T @ dz, dz.sum(0)

    for p, g in zip([W1, b1, W2, b2], [dW1, db1, dW2]):     # zip ends with the shorter list
        p -= lr * g
