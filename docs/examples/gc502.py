"""gradcheck report docs/examples/gc502.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randint(0, 11, (400, 3)), torch.randint(0, 11, (400,))
C = torch.randn(11, 4)
W1, b1 = torch.randn(12, 24) * 0.3, torch.zeros(24)
W2, b2 = torch.randn(24, 11) * 0.2, torch.zeros(11)

for step in range(1000):
    batch = torch.randint(0, 400, (32,))
    x, y = X[batch], Y[batch]
    emb = C[x].view(32, -1)
    h = torch.tanh(emb @ W1 + b1)     # training
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, 11)) / 32
    dW2, db2 = h.T @ dlogits, dlogits.sum(0)
    dz = (dlogits @ W2.T) * (1 - h**2)
    dW1, db1 = emb.T @ dz, dz.sum(0)
    demb = (dz @ W1.T).view(32, 3, 4)
    dC = torch.zeros_like(C).index_add(0, x.view(-1), demb.reshape(-1, 4))

    for p, g in zip([C, W1, b1, W2, b2], [dC, dW1, db1, dW2, db2]):
        p -= 0.1 * g

for _ in range(5):
    context = [0, 0, 0]
    for _ in range(6):
        emb = C[torch.tensor([context])].view(1, -1)
        h = emb @ W1 + b1                 # sampling: the tanh is missing
        logits = h @ W2 + b2
        drawn = torch.multinomial(F.softmax(logits, 1), 1).item()
        context = context[1:] + [drawn]
