"""One small network that spells words, trained by hand, and samplers for it: right ones and faulty ones."""

from __future__ import annotations

import textwrap

TRAINING = """
import random

import torch
import torch.nn.functional as F

draw = random.Random(3)
words = []
for _ in range(400):
    syllables = draw.choice([2, 2, 2, 3, 3, 4])
    words.append("".join(draw.choice("bdgkm") + draw.choice("aeiou") for _ in range(syllables)) + "n")
letters = sorted(set("".join(words)))
stoi = {letter: i + 1 for i, letter in enumerate(letters)}
stoi["."] = 0
itos = {i: letter for letter, i in stoi.items()}
V, size = len(stoi), 3

X, Y = [], []
for word in words:
    context = [0] * size
    for letter in word + ".":
        X.append(context)
        Y.append(stoi[letter])
        context = context[1:] + [stoi[letter]]
X, Y = torch.tensor(X), torch.tensor(Y)

g = torch.Generator().manual_seed(1)
C = torch.randn((V, 4), generator=g)
W1 = torch.randn((size * 4, 24), generator=g) * 0.3
b1 = torch.zeros(24)
W2 = torch.randn((24, V), generator=g) * 0.1
b2 = torch.zeros(V)

for step in range(2000):
    ix = torch.randint(0, len(X), (32,), generator=g)
    xb, yb = X[ix], Y[ix]
    emb = C[xb].view(32, -1)
    h = torch.tanh(emb @ W1 + b1)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, yb)

    dlogits = (F.softmax(logits, 1) - F.one_hot(yb, V)) / 32
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dh = dlogits @ W2.T
    dhpre = dh * (1 - h**2)
    dW1 = emb.T @ dhpre
    db1 = dhpre.sum(0)
    demb = (dhpre @ W1.T).view(32, size, 4)
    dC = torch.zeros_like(C).index_add_(0, xb.view(-1), demb.reshape(-1, 4))
    for p, d in ((C, dC), (W1, dW1), (b1, db1), (W2, dW2), (b2, db2)):
        p -= 0.5 * d

sampling = torch.Generator().manual_seed(5)
"""

SAMPLER = """
made_up = []
for _ in range(40):
    context, spelled = [0] * size, []
    while True:
        h = torch.tanh(C[torch.tensor([context])].view(1, -1) @ W1 + b1)
        probs = F.softmax(h @ W2 + b2, 1)
        i = torch.multinomial(probs, 1, generator=sampling).item()
        context = context[1:] + [i]
        if i == 0:
            break
        spelled.append(itos[i])
    made_up.append("".join(spelled))
"""

SIDE_BY_SIDE = """
context = torch.zeros((40, size), dtype=torch.long)
for _ in range(25):
    h = torch.tanh(C[context].view(40, -1) @ W1 + b1)
    probs = F.softmax(h @ W2 + b2, 1)
    drawn = torch.multinomial(probs, 1, generator=sampling)
    context = torch.cat([context[:, 1:], drawn], 1)
"""

CATEGORICAL = """
def spell():
    context, spelled = [0] * size, []
    while len(spelled) < 60:
        h = torch.tanh(C[torch.tensor([context])].view(1, -1) @ W1 + b1)
        i = torch.distributions.Categorical(logits=(h @ W2 + b2)[0]).sample().item()
        context = context[1:] + [i]
        if i == 0:
            return spelled
        spelled.append(i)
    return spelled

torch.manual_seed(7)
made_up = [spell() for _ in range(40)]
"""

ONE_TOKEN = """
import random

import torch
import torch.nn.functional as F

draw = random.Random(3)
words = ["ab" * draw.choice([1, 2, 2, 3]) + "c" for _ in range(300)]
letters = [".", "a", "b", "c"]
xs = torch.tensor([letters.index(letter) for word in words for letter in "." + word])
ys = torch.tensor([letters.index(letter) for word in words for letter in word + "."])

g = torch.Generator().manual_seed(1)
W = torch.randn((4, 4), generator=g) * 0.1
for step in range(1000):
    ix = torch.randint(0, len(xs), (64,), generator=g)
    rows = F.one_hot(xs[ix], 4).float()
    counts = (rows @ W).exp()
    probs = counts / counts.sum(1, keepdim=True)
    loss = -probs[torch.arange(64), ys[ix]].log().mean()
    dlogits = (probs - F.one_hot(ys[ix], 4)) / 64
    dW = rows.T @ dlogits
    W = W - 2.0 * dW

made_up = []
for _ in range(30):
    i, spelled = 0, []
    while True:
        p = F.softmax(W[i], dim=0)
        i = torch.multinomial(p, 1, generator=g).item()
        if i == 0:
            break
        spelled.append(letters[i])
    made_up.append("".join(spelled))
"""

TRAINED = 800


def program(sampler: str = SAMPLER, *edits: tuple[str, str]) -> str:
    """`edits` are made in the sampler; each must change something."""
    for old, new in edits:
        assert old in sampler
        sampler = sampler.replace(old, new)
    return textwrap.dedent(TRAINING) + sampler
