import torch
import torch.nn.functional as F

torch.manual_seed(88)
data = torch.randn(64, 6)
labels = (data[:, 0] * data[:, 1] > 0).long()
w1 = torch.randn(6, 9) * 0.4
w2 = torch.randn(9, 2) * 0.4
micro, chunks = 4, 4

for step in range(800):
    d_w1 = torch.zeros_like(w1)
    d_w2 = torch.zeros_like(w2)
    loss = torch.zeros(())
    picks = torch.randint(64, (chunks, micro))
    for c in range(chunks):
        x, y = data[picks[c]], labels[picks[c]]
        pre = x @ w1
        h = F.leaky_relu(pre, 0.1)
        logits = h @ w2
        loss += F.cross_entropy(logits, y) / chunks
        d_logits = (F.softmax(logits, 1) - F.one_hot(y, 2)) / (micro * chunks)
        d_w2 += h.T @ d_logits
        d_h = d_logits @ w2.T
        d_pre = torch.where(pre > 0, d_h, 0.1 * d_h)
        d_w1 += x.T @ d_pre
    w1 -= 0.1 * d_w1
    w2 -= 0.1 * d_w2
    if step % 100 == 0:
        print(step, float(loss))
