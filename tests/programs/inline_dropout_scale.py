import torch
import torch.nn.functional as F

torch.manual_seed(19)
X = torch.randn(60, 5)
Y = (X[:, 0] > X[:, 1]).long()
U = torch.randn(5, 16) * 0.5
u = torch.zeros(16)
V = torch.randn(16, 2) * 0.5
v = torch.zeros(2)
keep = 0.75

for step in range(3000):
    ix = torch.randint(60, (12,))
    x, y = X[ix], Y[ix]
    pre = x @ U + u
    act = torch.tanh(pre)
    mask = (torch.rand(act.shape) < keep).to(act.dtype)
    dropped = act * mask / keep
    logits = dropped @ V + v
    loss = F.cross_entropy(logits, y)

    logits_grad = F.softmax(logits, dim=1)
    logits_grad[range(12), y] -= 1
    logits_grad /= 12
    V_grad = dropped.T @ logits_grad
    v_grad = logits_grad.sum(0)
    dropped_grad = logits_grad @ V.T
    act_grad = dropped_grad * mask
    pre_grad = act_grad * (1 - act**2)
    U_grad = x.T @ pre_grad
    u_grad = pre_grad.sum(0)

    with torch.no_grad():
        U -= 0.1 * U_grad
        u -= 0.1 * u_grad
        V -= 0.1 * V_grad
        v -= 0.1 * v_grad
