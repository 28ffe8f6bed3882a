"""gradcheck report docs/examples/gc402.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(2000, 40), torch.randint(0, 27, (2000,))
W1, b1 = torch.randn(40, 200) * (5 / 3) / 40**0.5, torch.zeros(200)
W2, b2 = torch.randn(200, 27) * 0.07, torch.zeros(27)
parameters = [W1, b1, W2, b2]
learning_rate = 0.0001

for step in range(1000):
    batch = torch.randint(0, 2000, (32,))
    x, y = X[batch], Y[batch]
    h = torch.tanh(x @ W1 + b1)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, 27)) / 32
    dW2, db2 = h.T @ dlogits, dlogits.sum(0)
    dz = (dlogits @ W2.T) * (1 - h**2)
    dW1, db1 = x.T @ dz, dz.sum(0)
    grads = [dW1, db1, dW2, db2]

    for p, grad in zip(parameters, grads):
        p -= learning_rate * grad           # log10 of update / data: -5.0
