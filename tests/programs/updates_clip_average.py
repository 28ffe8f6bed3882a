import torch
import torch.nn.functional as F

torch.manual_seed(103)
words = torch.randint(0, 15, (60, 3))
following = torch.randint(0, 15, (60,))
E = torch.randn(15, 4)
W = torch.randn(12, 15) * 0.1
c = torch.zeros(15)
averages = [p.clone() for p in (E, W, c)]

for i in range(1000):
    batch = torch.randint(0, 60, (20,))
    ix, iy = words[batch], following[batch]
    emb = E[ix]
    flat = emb.view(20, 12)
    logits = flat @ W + c
    loss = F.cross_entropy(logits, iy)

    dlogits = F.softmax(logits, 1)
    dlogits[range(20), iy] -= 1
    dlogits /= 20
    dW = flat.T @ dlogits
    dc = dlogits.sum(0)
    dflat = dlogits @ W.T
    demb = dflat.view(emb.shape)
    dE = torch.zeros_like(E)
    dE.index_add_(0, ix.view(-1), demb.view(-1, 4))

    grads = [dE, dW, dc]
    total = torch.sqrt(sum((g**2).sum() for g in grads))
    scale = torch.clamp(0.5 / (total + 1e-6), max=1.0)
    for p, g, average in zip((E, W, c), grads, averages):
        p -= 0.5 * scale * g
        average.mul_(0.99).add_(p, alpha=0.01)
print(loss.item())
