"""gradcheck report docs/examples/gc107.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(200, 10), torch.randint(0, 5, (200,))
W1, b1 = torch.randn(10, 20) * 0.3, torch.zeros(20)
W2, b2 = torch.randn(20, 5) * 0.2, torch.zeros(5)

for step in range(1000):
    batch = torch.randint(0, 200, (32,))
    x, y = X[batch], Y[batch]
    h_pre = x @ W1 + b1
    h = torch.tanh(h_pre)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, 5)) / 32
    dW2, db2 = h.T @ dlogits, dlogits.sum(0)
    dh = (dlogits @ W2.T) * (1 - h**2)   # this is the gradient of h_pre
    dW1, db1 = x.T @ dh, dh.sum(0)

    for p, g in zip([W1, b1, W2, b2], [dW1, db1, dW2, db2]):
        p -= 0.1 * g
