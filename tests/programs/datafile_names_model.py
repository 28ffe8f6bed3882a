import torch
import torch.nn.functional as F

words = open("small_words.txt").read().split()
letters = sorted(set("".join(words)))
itos = dict(enumerate(["."] + letters))
stoi = {c: i for i, c in itos.items()}
V = len(stoi)

pairs = [(stoi[a], stoi[b]) for w in words for a, b in zip("." + w, w + ".")]
xs = torch.tensor([a for a, _ in pairs])
ys = torch.tensor([b for _, b in pairs])
gen = torch.Generator().manual_seed(1234)
emb_w = torch.randn((V, 6), generator=gen)
out_w = torch.randn((6, V), generator=gen) * 0.1
out_b = torch.zeros(V)

for step in range(5000):
    ix = torch.randint(0, len(xs), (32,), generator=gen)
    x_onehot = F.one_hot(xs[ix], V).float()
    emb = x_onehot @ emb_w
    logits = emb @ out_w + out_b
    counts = logits.exp()
    probs = counts / counts.sum(1, keepdim=True)
    loss = -probs[torch.arange(32), ys[ix]].log().mean()

    d_logits = (probs - F.one_hot(ys[ix], V).float()) / 32
    d_out_w = emb.T @ d_logits
    d_out_b = d_logits.sum(0)
    d_emb = d_logits @ out_w.T
    d_emb_w = x_onehot.T @ d_emb

    lr = 1.0 if step < 3000 else 0.1
    emb_w += -lr * d_emb_w
    out_w += -lr * d_out_w
    out_b += -lr * d_out_b


@torch.no_grad()
def split_loss(x, y):
    return F.cross_entropy(emb_w[x] @ out_w + out_b, y).item()


print("all", split_loss(xs, ys))
for _ in range(3):
    out, i = [], 0
    while len(out) < 20:
        p = F.softmax(emb_w[i] @ out_w + out_b, dim=0)
        i = torch.multinomial(p, 1, generator=gen).item()
        if i == 0:
            break
        out.append(itos[i])
    print("".join(out))
