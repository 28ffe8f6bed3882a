import torch
import torch.nn.functional as F

torch.manual_seed(64)
words = torch.randint(0, 11, (200,))
E = torch.randn(11, 6) * 0.6
M = torch.randn(6, 6) * 0.4
lr = 0.3

for it in range(2000):
    at = torch.randint(0, 199, (16,))
    now, after = words[at], words[at + 1]
    e = E[now]
    h = torch.tanh(e @ M)
    scores = h @ E.T
    loss = F.cross_entropy(scores, after)

    g_scores = F.softmax(scores, -1)
    g_scores[torch.arange(16), after] -= 1
    g_scores = g_scores / 16
    g_h = g_scores @ E
    g_E = g_scores.T @ h
    g_pre = g_h * (1 - h * h)
    g_M = e.T @ g_pre
    g_e = g_pre @ M.T
    g_E.index_add_(0, now, g_e)
    E -= lr * g_E
    M -= lr * g_M
    if it % 500 == 0:
        print(it, loss.item())
