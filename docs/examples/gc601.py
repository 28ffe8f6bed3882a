"""gradcheck report docs/examples/gc601.py --at 1500"""

import random

import torch
import torch.nn.functional as F

draw = random.Random(3)
words = []
for _ in range(400):
    syllables = draw.choice([2, 2, 2, 3, 3, 4])
    words.append("".join(draw.choice("bdgkm") + draw.choice("aeiou") for _ in range(syllables)) + "n")
letters = ["."] + sorted(set("".join(words)))
stoi = {letter: i for i, letter in enumerate(letters)}
itos = {i: letter for letter, i in stoi.items()}
X, Y = [], []
for word in words:
    context = [0] * 3
    for letter in word + ".":
        X.append(context)
        Y.append(stoi[letter])
        context = context[1:] + [stoi[letter]]
X, Y = torch.tensor(X), torch.tensor(Y)

torch.manual_seed(1)
V = len(letters)
C = torch.randn(V, 4) * 0.3
W1 = torch.randn(12, 24) * 0.3
gamma, beta = torch.ones(24), torch.zeros(24)
W2, b2 = torch.randn(24, V) * 0.1, torch.zeros(V)

for step in range(2000):
    batch = torch.randint(0, len(X), (32,))
    x, y = X[batch], Y[batch]
    emb = C[x].view(32, -1)
    pre = emb @ W1
    norm = (pre - pre.mean(0)) * (pre.var(0) + 1e-5) ** -0.5
    h = torch.tanh(gamma * norm + beta)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(y, V)) / 32
    dW2, db2 = h.T @ dlogits, dlogits.sum(0)
    dout = (dlogits @ W2.T) * (1 - h**2)
    dgamma, dbeta = (dout * norm).sum(0), dout.sum(0)
    dnorm = gamma * dout
    dz = (dnorm - dnorm.mean(0) - norm * (dnorm * norm).sum(0) / 31) * (pre.var(0) + 1e-5) ** -0.5
    dW1 = emb.T @ dz
    demb = (dz @ W1.T).view(32, 3, 4)
    dC = torch.zeros_like(C).index_add(0, x.view(-1), demb.reshape(-1, 4))

    for p, g in zip([C, W1, gamma, beta, W2, b2], [dC, dW1, dgamma, dbeta, dW2, db2]):
        p -= 0.05 * g


pre = C[X].view(len(X), -1) @ W1
calibrated_mean, calibrated_var = pre.mean(0), pre.var(0)
for _ in range(40):
    context, name = [0] * 3, []
    while True:
        pre = C[torch.tensor([context])].view(1, -1) @ W1
        # training divides by the standard deviation; the sampler multiplies by it
        norm = (pre - calibrated_mean) * (calibrated_var + 1e-5) ** 0.5
        probs = F.softmax(torch.tanh(gamma * norm + beta) @ W2 + b2, dim=1)
        ix = torch.multinomial(probs, 1).item()
        context = context[1:] + [ix]
        if ix == 0:
            break
        name.append(itos[ix])
    print("".join(name))
