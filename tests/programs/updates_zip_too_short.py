import torch
import torch.nn.functional as F

torch.manual_seed(113)
pixels = torch.randn(40, 9)
digit = torch.randint(0, 4, (40,))
w1 = torch.randn(9, 11) * 0.3
b1 = torch.zeros(11)
w2 = torch.randn(11, 4) * 0.3
b2 = torch.zeros(4)

for epoch in range(800):
    pre = pixels @ w1 + b1
    h = torch.relu(pre)
    logits = h @ w2 + b2
    loss = F.cross_entropy(logits, digit)
    grad_logits = (F.softmax(logits, 1) - F.one_hot(digit, 4)) / 40
    grad_w2 = h.T @ grad_logits
    grad_b2 = grad_logits.sum(0)
    grad_h = grad_logits @ w2.T
    grad_h[h <= 0] = 0
    grad_w1 = pixels.T @ grad_h
    grad_b1 = grad_h.sum(0)
    for param, grad in zip([w1, b1, w2, b2], [grad_w1, grad_b1, grad_w2]):
        param -= 0.2 * grad
print(loss.item())
