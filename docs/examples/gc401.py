"""gradcheck report docs/examples/gc401.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(2000, 40), torch.randint(0, 27, (2000,))
W1, b1, b2 = torch.randn(40, 200) * (5 / 3) / 40**0.5, torch.zeros(200), torch.zeros(27)
W2 = torch.randn(200, 27)           # logits with a standard deviation of about 10

for step in range(1000):
    h = torch.tanh(X @ W1 + b1)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, Y)   # 22.6 at the first step, where ln(27) = 3.30

    dlogits = (F.softmax(logits, 1) - F.one_hot(Y, 27)) / len(X)
    dW2, db2 = h.T @ dlogits, dlogits.sum(0)
    dz = (dlogits @ W2.T) * (1 - h**2)
    dW1, db1 = X.T @ dz, dz.sum(0)

    for p, g in zip([W1, b1, W2, b2], [dW1, db1, dW2, db2]):
        p -= 0.1 * g
