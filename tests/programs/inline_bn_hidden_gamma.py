import torch
import torch.nn.functional as F

g = torch.Generator().manual_seed(5)
X = torch.randint(0, 11, (90, 3), generator=g)
Y = X.max(1).values
C = torch.randn(11, 3, generator=g)
W1 = torch.randn(9, 14, generator=g) * 0.4
b1 = torch.randn(14, generator=g) * 0.01
W2 = torch.randn(14, 11, generator=g) * 0.1
b2 = torch.zeros(11)
bngain = torch.ones((1, 14))
bnbias = torch.zeros((1, 14))
n = 24

with torch.no_grad():
    for i in range(100000):
        ix = torch.randint(0, 90, (n,), generator=g)
        Xb, Yb = X[ix], Y[ix]
        emb = C[Xb]
        embcat = emb.view(n, -1)
        hprebn = embcat @ W1 + b1
        bnmean = hprebn.mean(0, keepdim=True)
        bnvar_inv = (hprebn.var(0, keepdim=True) + 1e-5) ** -0.5
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
        dbhprebn = bnvar_inv / n * (n * dhpreact - dhpreact.sum(0) - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0))
        dembcat = dbhprebn @ W1.T
        dW1 = embcat.T @ dbhprebn
        db1 = dbhprebn.sum(0)
        demb = dembcat.view(emb.shape)
        dC = torch.zeros_like(C).index_put_((Xb,), demb, accumulate=True)
        for p, grad in zip([C, W1, b1, W2, b2, bngain, bnbias], [dC, dW1, db1, dW2, db2, dbngain, dbnbias]):
            p.data += -0.1 * grad
