import torch
import torch.nn.functional as F

torch.manual_seed(26)
N, bs = 96, 16
X = torch.randn(N, 7)
Y = (X[:, 0] + X[:, 1] ** 2 > 0.5).long()
W1 = torch.randn(7, 13) * 0.4
b1 = torch.zeros(13)
W2 = torch.randn(13, 2) * 0.4
b2 = torch.zeros(2)

for epoch in range(20):
    order = torch.randperm(N)
    for start in range(0, N, bs):
        rows = order[start : start + bs]
        xb, yb = X[rows], Y[rows]
        z1 = xb @ W1 + b1
        a1 = F.softplus(z1)
        z2 = a1 @ W2 + b2
        logp = F.log_softmax(z2, dim=1)
        loss = F.nll_loss(logp, yb)

        dloss_dz2 = (logp.exp() - F.one_hot(yb, 2)) / bs
        dloss_dW2 = a1.T @ dloss_dz2
        dloss_db2 = dloss_dz2.mean(0)
        dloss_da1 = dloss_dz2 @ W2.T
        dloss_dz1 = dloss_da1 * torch.sigmoid(z1)
        dloss_dW1 = xb.T @ dloss_dz1
        dloss_db1 = dloss_dz1.sum(0)

        W1 -= 0.1 * dloss_dW1
        b1 -= 0.1 * dloss_db1
        W2 -= 0.1 * dloss_dW2
        b2 -= 0.1 * dloss_db2
    accuracy = ((F.softplus(X @ W1 + b1) @ W2 + b2).argmax(1) == Y).float().mean()
    print(epoch, loss.item(), accuracy.item())
