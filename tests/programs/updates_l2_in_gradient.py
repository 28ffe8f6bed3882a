import torch
import torch.nn.functional as F

torch.manual_seed(104)
X = torch.randn(30, 8)
y = torch.randint(0, 3, (30,))
W1 = 0.3 * torch.randn(8, 16)
b1 = torch.zeros(1, 16)
W2 = 0.3 * torch.randn(16, 3)
b2 = torch.zeros(1, 3)
reg = 1e-3

for i in range(5000):
    pre = X @ W1 + b1
    hidden = torch.relu(pre)
    scores = hidden @ W2 + b2
    probs = scores.exp() / scores.exp().sum(1, keepdim=True)
    loss = -probs[range(30), y].log().mean()

    dscores = probs.clone()
    dscores[range(30), y] -= 1
    dscores /= 30
    dW2 = hidden.T @ dscores
    db2 = dscores.sum(0, keepdim=True)
    dhidden = dscores @ W2.T
    dhidden[hidden <= 0] = 0
    dW1 = X.T @ dhidden
    db1 = dhidden.sum(0, keepdim=True)
    dW2 += reg * W2
    dW1 += reg * W1

    dW1.clamp_(-1, 1)
    dW2.clamp_(-1, 1)
    W1 += -0.5 * dW1
    b1 += -0.5 * db1
    W2 += -0.5 * dW2
    b2 += -0.5 * db2
    if i % 1000 == 0:
        print(i, loss.item())
