import torch

torch.manual_seed(17)
inp = torch.randn(15, 4)
target = inp.pow(2).sum(1, keepdim=True)

A = torch.randn(4, 7) * 0.5
a0 = torch.randn(7) * 0.1
B = torch.randn(7, 1) * 0.5
b0 = torch.randn(1) * 0.1

lin1 = inp @ A + a0
act1 = torch.sigmoid(lin1)
lin2 = act1 @ B + b0
resid = lin2 - target
loss = (resid * resid).sum() / resid.shape[0]

g_resid = 2.0 * resid / resid.shape[0]
g_lin2 = g_resid.clone()
g_B = act1.T @ g_lin2
g_b0 = g_lin2.sum(0)
g_act1 = -(g_lin2 @ B.T)
g_lin1 = g_act1 * act1 * (act1 - 1.0)
g_A = inp.T @ g_lin1
g_a0 = g_lin1.sum(0)

for p, gp in ((A, g_A), (a0, g_a0), (B, g_B), (b0, g_b0)):
    p.sub_(0.02 * gp)
print(loss)
