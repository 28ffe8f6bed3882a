import torch
import torch.nn.functional as F

g = torch.Generator().manual_seed(2147483647)
Xtr = torch.randn(200, 6, generator=g)
Ytr = (Xtr[:, :3].sum(1) > 0).long() + (Xtr[:, 3] > 0.5).long()

w_1 = torch.randn(6, 10, generator=g) * 0.4
b_1 = torch.zeros(10)
gamma = torch.ones(1, 10)
beta = torch.zeros(1, 10)
w_2 = torch.randn(10, 3, generator=g) * 0.2
b_2 = torch.zeros(3)
eps = 1e-5
n = 32

for step in range(200_000):
    pick = torch.randint(0, 200, (n,), generator=g)
    x, y = Xtr[pick], Ytr[pick]
    a_1 = x @ w_1 + b_1
    mean = a_1.mean(0, keepdim=True)
    variance = a_1.var(0, keepdim=True)
    istd = 1.0 / torch.sqrt(variance + eps)
    a_hat = (a_1 - mean) * istd
    z_1 = gamma * a_hat + beta
    h_1 = torch.relu(z_1)
    logits = h_1 @ w_2 + b_2
    loss = F.cross_entropy(logits, y)

    d_logits = F.softmax(logits, dim=1)
    d_logits[torch.arange(n), y] -= 1
    d_logits = d_logits / n
    d_w_2 = h_1.T @ d_logits
    d_b_2 = d_logits.sum(0)
    d_h_1 = d_logits @ w_2.T
    d_z_1 = d_h_1 * (z_1 > 0)
    d_gamma = (d_z_1 * a_hat).sum(0, keepdim=True)
    d_beta = d_z_1.sum(0, keepdim=True)
    d_a_1 = gamma * istd / n * (n * d_z_1 - d_z_1.sum(0) - a_hat * (d_z_1 * a_hat).sum(0))
    d_w_1 = x.T @ d_a_1
    d_b_1 = d_a_1.sum(0)

    for p, d in [(w_1, d_w_1), (b_1, d_b_1), (gamma, d_gamma), (beta, d_beta), (w_2, d_w_2), (b_2, d_b_2)]:
        p -= 0.05 * d
    if step % 1000 == 0:
        print(step, loss.item())
