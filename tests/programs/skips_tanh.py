import torch
import torch.nn.functional as F

torch.manual_seed(115)
X = torch.randn(32, 6)
Y = torch.randint(0, 5, (32,))
W1 = torch.randn(6, 8) * 0.4
b1 = torch.randn(8) * 0.1
W2 = torch.randn(8, 5) * 0.4

for step in range(1000):
    z = X @ W1 + b1
    h = torch.tanh(z)
    logits = h @ W2
    loss = F.cross_entropy(logits, Y)

    dlogits = (F.softmax(logits, 1) - F.one_hot(Y, 5)) / 32
    dW2 = h.T @ dlogits
    dh = dlogits @ W2.T
    dz = dh * (1 - h**2)
    dW1 = X.T @ dh
    db1 = dh.sum(0)
    for p, g in zip([W1, b1, W2], [dW1, db1, dW2]):
        p -= 0.1 * g
    if step % 100 == 0:
        print(step, loss.item(), dz.abs().max().item())
