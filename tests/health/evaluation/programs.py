"""Small programs that train a network by hand and then evaluate it: a training part, and what may follow it."""

from __future__ import annotations

DATA = """
import torch
import torch.nn.functional as F

g = torch.Generator().manual_seed(7)
X = torch.randint(0, 11, (400, 3), generator=g)
Y = torch.randint(0, 11, (400,), generator=g)
"""

PLAIN = (
    DATA
    + """
C = torch.randn((11, 4), generator=g)
W1 = torch.randn((12, 24), generator=g) * 0.3
b1 = torch.zeros(24)
W2 = torch.randn((24, 24), generator=g) * 0.2
b2 = torch.zeros(24)
W3 = torch.randn((24, 11), generator=g) * 0.2
b3 = torch.zeros(11)
parameters = [C, W1, b1, W2, b2, W3, b3]
for step in range(1000):
    ix = torch.randint(0, 400, (16,), generator=g)
    Xb, Yb = X[ix], Y[ix]
    emb = C[Xb]
    flat = emb.view(emb.shape[0], -1)
    z1 = flat @ W1 + b1
    h1 = torch.tanh(z1)
    z2 = h1 @ W2 + b2
    h2 = torch.tanh(z2)
    logits = h2 @ W3 + b3
    loss = F.cross_entropy(logits, Yb)
    dlogits = F.softmax(logits, 1)
    dlogits[range(16), Yb] -= 1
    dlogits /= 16
    dh2 = dlogits @ W3.T
    dW3 = h2.T @ dlogits
    db3 = dlogits.sum(0)
    dz2 = dh2 * (1 - h2**2)
    dh1 = dz2 @ W2.T
    dW2 = h1.T @ dz2
    db2 = dz2.sum(0)
    dz1 = dh1 * (1 - h1**2)
    dflat = dz1 @ W1.T
    dW1 = flat.T @ dz1
    db1 = dz1.sum(0)
    demb = dflat.view(emb.shape)
    dC = torch.zeros_like(C)
    dC.index_add_(0, Xb.view(-1), demb.view(-1, 4))
    for p, d in zip(parameters, [dC, dW1, db1, dW2, db2, dW3, db3]):
        p -= 0.1 * d
"""
)

REBOUND = PLAIN.replace(
    """    for p, d in zip(parameters, [dC, dW1, db1, dW2, db2, dW3, db3]):
        p -= 0.1 * d
""",
    """    C = C - 0.1 * dC
    W1 = W1 - 0.1 * dW1
    b1 = b1 - 0.1 * db1
    W2 = W2 - 0.1 * dW2
    b2 = b2 - 0.1 * db2
    W3 = W3 - 0.1 * dW3
    b3 = b3 - 0.1 * db3
""",
)

NORMALISED = (
    DATA
    + """
C = torch.randn((11, 4), generator=g)
W1 = torch.randn((12, 24), generator=g) * 0.3
g1, s1 = torch.ones((1, 24)), torch.zeros((1, 24))
W2 = torch.randn((24, 24), generator=g) * 0.2
g2, s2 = torch.ones((1, 24)), torch.zeros((1, 24))
W3 = torch.randn((24, 11), generator=g) * 0.2
b3 = torch.zeros(11)
parameters = [C, W1, g1, s1, W2, g2, s2, W3, b3]
running_mean1, running_var1 = torch.zeros((1, 24)), torch.ones((1, 24))
running_mean2, running_var2 = torch.zeros((1, 24)), torch.ones((1, 24))
n = 16
for step in range(1000):
    ix = torch.randint(0, 400, (n,), generator=g)
    Xb, Yb = X[ix], Y[ix]
    emb = C[Xb]
    flat = emb.view(emb.shape[0], -1)
    z1 = flat @ W1
    mean1 = 1 / n * z1.sum(0, keepdim=True)
    c1 = z1 - mean1
    var1 = 1 / (n - 1) * (c1**2).sum(0, keepdim=True)
    inv1 = (var1 + 1e-5) ** -0.5
    n1 = c1 * inv1
    y1 = g1 * n1 + s1
    h1 = torch.tanh(y1)
    z2 = h1 @ W2
    mean2 = 1 / n * z2.sum(0, keepdim=True)
    c2 = z2 - mean2
    var2 = 1 / (n - 1) * (c2**2).sum(0, keepdim=True)
    inv2 = (var2 + 1e-5) ** -0.5
    n2 = c2 * inv2
    y2 = g2 * n2 + s2
    h2 = torch.tanh(y2)
    logits = h2 @ W3 + b3
    loss = F.cross_entropy(logits, Yb)
    dlogits = F.softmax(logits, 1)
    dlogits[range(n), Yb] -= 1
    dlogits /= n
    dh2 = dlogits @ W3.T
    dW3 = h2.T @ dlogits
    db3 = dlogits.sum(0)
    dy2 = dh2 * (1 - h2**2)
    dg2 = (dy2 * n2).sum(0, keepdim=True)
    ds2 = dy2.sum(0, keepdim=True)
    dz2 = g2 * inv2 / n * (n * dy2 - dy2.sum(0) - n / (n - 1) * n2 * (dy2 * n2).sum(0))
    dh1 = dz2 @ W2.T
    dW2 = h1.T @ dz2
    dy1 = dh1 * (1 - h1**2)
    dg1 = (dy1 * n1).sum(0, keepdim=True)
    ds1 = dy1.sum(0, keepdim=True)
    dz1 = g1 * inv1 / n * (n * dy1 - dy1.sum(0) - n / (n - 1) * n1 * (dy1 * n1).sum(0))
    dflat = dz1 @ W1.T
    dW1 = flat.T @ dz1
    demb = dflat.view(emb.shape)
    dC = torch.zeros_like(C)
    dC.index_add_(0, Xb.view(-1), demb.view(-1, 4))
    running_mean1 = 0.9 * running_mean1 + 0.1 * mean1
    running_var1 = 0.9 * running_var1 + 0.1 * var1
    running_mean2 = 0.9 * running_mean2 + 0.1 * mean2
    running_var2 = 0.9 * running_var2 + 0.1 * var2
    for p, d in zip(parameters, [dC, dW1, dg1, ds1, dW2, dg2, ds2, dW3, db3]):
        p -= 0.1 * d
"""
)

PLAIN_SPLIT = """
def split_loss(x, y):
    flat = C[x].view(x.shape[0], -1)
    h1 = torch.tanh(flat @ W1 + b1)
    h2 = torch.tanh(h1 @ W2 + b2)
    logits = h2 @ W3 + b3
    return F.cross_entropy(logits, y)


print(split_loss(X[:300], Y[:300]).item(), split_loss(X[300:], Y[300:]).item())
"""

PLAIN_SAMPLING = """
for _ in range(5):
    context = [0, 0, 0]
    for _ in range(6):
        flat = C[torch.tensor([context])].view(1, -1)
        h1 = torch.tanh(flat @ W1 + b1)
        h2 = torch.tanh(h1 @ W2 + b2)
        logits = h2 @ W3 + b3
        probs = F.softmax(logits / 0.8, dim=1)
        drawn = torch.multinomial(probs, 1, generator=g).item()
        context = context[1:] + [drawn]
"""

CALIBRATION = """
with torch.no_grad():
    flat = C[X].view(-1, 12)
    z1 = flat @ W1
    fixed_mean1, fixed_var1 = z1.mean(0, keepdim=True), z1.var(0, keepdim=True)
    h1 = torch.tanh(g1 * (z1 - fixed_mean1) / torch.sqrt(fixed_var1 + 1e-5) + s1)
    z2 = h1 @ W2
    fixed_mean2, fixed_var2 = z2.mean(0, keepdim=True), z2.var(0, keepdim=True)
"""

CALIBRATED_SAMPLING = """
for _ in range(3):
    context = [0, 0, 0]
    for _ in range(4):
        flat = C[torch.tensor([context])].view(1, -1)
        z1 = flat @ W1
        n1 = (z1 - fixed_mean1) * (fixed_var1 + 1e-5) ** -0.5
        h1 = torch.tanh(g1 * n1 + s1)
        z2 = h1 @ W2
        n2 = (z2 - fixed_mean2) * (fixed_var2 + 1e-5) ** -0.5
        h2 = torch.tanh(g2 * n2 + s2)
        logits = h2 @ W3 + b3
        drawn = torch.multinomial(F.softmax(logits, dim=1), 1, generator=g).item()
        context = context[1:] + [drawn]
"""

RUNNING_SPLIT = """
def split_loss(x, y):
    flat = C[x].view(x.shape[0], -1)
    z1 = flat @ W1
    h1 = torch.tanh(g1 * (z1 - running_mean1) / torch.sqrt(running_var1 + 1e-5) + s1)
    z2 = h1 @ W2
    h2 = torch.tanh(g2 * (z2 - running_mean2) / torch.sqrt(running_var2 + 1e-5) + s2)
    logits = h2 @ W3 + b3
    return F.cross_entropy(logits, y)


print(split_loss(X, Y).item())
"""
