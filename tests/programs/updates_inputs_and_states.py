import torch
import torch.nn.functional as F

torch.manual_seed(108)
steps, n = 4, 8
frames = torch.randn(steps, n, 3)
labels = torch.randint(0, 4, (n,))
Wx = torch.randn(3, 5) * 0.4
Wh = torch.randn(5, 5) * 0.4
Wy = torch.randn(5, 4) * 0.4
h0 = torch.zeros(1, 5)

for it in range(200):
    hs = [h0.expand(n, 5)]
    for t in range(steps):
        hs.append(torch.tanh(frames[t] @ Wx + hs[-1] @ Wh))
    logits = hs[-1] @ Wy
    loss = F.cross_entropy(logits, labels)

    dlogits = (F.softmax(logits, 1) - F.one_hot(labels, 4)) / n
    dWy = hs[-1].T @ dlogits
    dWx, dWh = torch.zeros_like(Wx), torch.zeros_like(Wh)
    dframes = torch.zeros_like(frames)
    dh = dlogits @ Wy.T
    for t in reversed(range(steps)):
        draw = dh * (1 - hs[t + 1] ** 2)
        dWx += frames[t].T @ draw
        dWh += hs[t].T @ draw
        dframes[t] = draw @ Wx.T
        dh = draw @ Wh.T
    dh0 = dh.sum(0, keepdim=True)
    for p, d in zip([Wx, Wh, Wy], [dWx, dWh, dWy]):
        p -= 0.1 * d
print(loss.item())
