import torch

text = "row row row your boat gently down the stream merrily merrily life is but a dream "
letters = sorted(set(text))
code = torch.tensor([letters.index(ch) for ch in text])
V, H, span = len(letters), 9, 5

torch.manual_seed(41)
P = {
    "Wxh": torch.randn(V, H) * 0.2,
    "Whh": torch.randn(H, H) * 0.2,
    "Why": torch.randn(H, V) * 0.2,
    "bh": torch.zeros(H),
    "by": torch.zeros(V),
}


def window_pass(ids, state):
    xs = torch.eye(V)[ids[:-1]]
    hs, probs = [state], []
    loss = torch.zeros(())
    for t in range(span):
        h = torch.tanh(xs[t] @ P["Wxh"] + hs[-1] @ P["Whh"] + P["bh"])
        y = h @ P["Why"] + P["by"]
        p = torch.softmax(y, 0)
        loss = loss - p[ids[t + 1]].log()
        hs.append(h)
        probs.append(p)

    dWxh, dWhh, dWhy = (torch.zeros_like(P[k]) for k in ("Wxh", "Whh", "Why"))
    dbh, dby = torch.zeros(H), torch.zeros(V)
    dhnext = torch.zeros(H)
    for t in range(span - 1, -1, -1):
        dy = probs[t].clone()
        dy[ids[t + 1]] -= 1
        dWhy += torch.outer(hs[t + 1], dy)
        dby += dy
        dh = P["Why"] @ dy + dhnext
        dpre = dh * (1 - hs[t + 1] ** 2)
        dbh += dpre
        dWxh += torch.outer(xs[t], dpre)
        dWhh += torch.outer(hs[t], dpre)
        dhnext = P["Whh"] @ dpre
    grads = {"Wxh": dWxh, "Whh": dWhh, "Why": dWhy, "bh": dbh, "by": dby}
    return loss, grads, hs[-1]


history = {k: torch.full_like(v, 1e-8) for k, v in P.items()}
start, state = 0, torch.zeros(H)
while True:
    if start + span + 1 > len(code):
        start, state = 0, torch.zeros(H)
    loss, grads, state = window_pass(code[start : start + span + 1], state)
    for k, grad in grads.items():
        grad.clamp_(-5, 5)
        history[k] += grad**2
        P[k] -= 0.1 * grad / history[k].sqrt()
    start += span
