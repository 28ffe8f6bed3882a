import torch
import torch.nn.functional as F

torch.manual_seed(61)
V, T, D = 12, 4, 5
stream = torch.randint(0, V, (300,))
params = {
    "tok": torch.randn(V, D) * 0.5,
    "pos": torch.randn(T, D) * 0.5,
    "head": torch.randn(T * D, V) * 0.2,
    "bias": torch.zeros(V),
}


@torch.no_grad()
def train(lr=0.3, batch=16):
    grads = {}
    it = 0
    while True:
        start = torch.randint(0, len(stream) - T - 1, (batch,))
        idx = torch.stack([stream[s : s + T] for s in start])
        nxt = stream[start + T]
        emb = params["tok"][idx] + params["pos"]
        feats = F.gelu(emb).flatten(1)
        logits = feats @ params["head"] + params["bias"]
        loss = F.cross_entropy(logits, nxt)

        grad_logits = logits.softmax(-1)
        grad_logits[torch.arange(batch), nxt] -= 1.0
        grad_logits.div_(batch)
        grads["head"] = feats.T @ grad_logits
        grads["bias"] = grad_logits.sum(0)
        grad_feats = grad_logits @ params["head"].T
        cdf = 0.5 * (1 + torch.erf(emb / 2**0.5))
        pdf = torch.exp(-0.5 * emb**2) / (2 * torch.pi) ** 0.5
        grad_emb = grad_feats.view(batch, T, D) * (cdf + emb * pdf)
        grads["pos"] = grad_emb.sum(0)
        grads["tok"] = torch.zeros_like(params["tok"])
        grads["tok"].index_add_(0, idx.flatten(), grad_emb.reshape(-1, D))

        for name in params:
            params[name] -= lr * grads[name]
        it += 1
        if it >= 5000:
            return loss.item()


print(train())
