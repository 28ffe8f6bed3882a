import torch
import torch.nn.functional as F

torch.manual_seed(3)
X = torch.randint(0, 9, (120, 3))
Y = (X.sum(1) + X[:, 0]) % 9

C = torch.randn(9, 4)
W1 = torch.randn(12, 16) * (5 / 3) / 12**0.5
b1 = torch.randn(16) * 0.1
W2 = torch.randn(16, 9) * 0.1
b2 = torch.randn(9) * 0.1
bngain = torch.randn(1, 16) * 0.1 + 1.0
bnbias = torch.randn(1, 16) * 0.1
parameters = [C, W1, b1, W2, b2, bngain, bnbias]

max_steps = 200_000
batch_size = 20
n = batch_size
lossi = []

with torch.no_grad():
    for i in range(max_steps):
        ix = torch.randint(0, X.shape[0], (batch_size,))
        Xb, Yb = X[ix], Y[ix]

        emb = C[Xb]
        embcat = emb.view(emb.shape[0], -1)
        hprebn = embcat @ W1 + b1
        bnmean = hprebn.mean(0, keepdim=True)
        bnvar = hprebn.var(0, keepdim=True, unbiased=True)
        bnvar_inv = (bnvar + 1e-5) ** -0.5
        bnraw = (hprebn - bnmean) * bnvar_inv
        hpreact = bngain * bnraw + bnbias
        h = torch.tanh(hpreact)
        logits = h @ W2 + b2
        loss = F.cross_entropy(logits, Yb)

        dlogits = F.softmax(logits, 1)
        dlogits[range(n), Yb] -= 1
        dlogits /= n
        dh = dlogits @ W2.T
        dW2 = h.T @ dlogits
        db2 = dlogits.sum(0)
        dhpreact = (1.0 - h**2) * dh
        dbngain = (bnraw * dhpreact).sum(0, keepdim=True)
        dbnbias = dhpreact.sum(0, keepdim=True)
        dhprebn = bngain * bnvar_inv / n * (n * dhpreact - dhpreact.sum(0) - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0))
        dembcat = dhprebn @ W1.T
        dW1 = embcat.T @ dhprebn
        db1 = dhprebn.sum(0)
        demb = dembcat.view(emb.shape)
        dC = torch.zeros_like(C)
        for k in range(Xb.shape[0]):
            for j in range(Xb.shape[1]):
                dC[Xb[k, j]] += demb[k, j]
        grads = [dC, dW1, db1, dW2, db2, dbngain, dbnbias]

        lr = 0.1 if i < 100_000 else 0.01
        for p, grad in zip(parameters, grads):
            p.data += -lr * grad

        if i % 10_000 == 0:
            print(f"{i:7d}/{max_steps:7d}: {loss.item():.4f}")
        lossi.append(loss.log10().item())
