import torch

torch.manual_seed(77)
x_all = torch.randn(100, 8)
y_all = x_all.cumsum(1)[:, -2:]
w_in = torch.randn(8, 10) / 8**0.5
gamma = torch.ones(10)
beta = torch.zeros(10)
w_out = torch.randn(10, 2) / 10**0.5
b_out = torch.zeros(2)
n_steps = 20_000

for k in range(n_steps):
    sel = torch.randint(100, (10,))
    xb, yb = x_all[sel], y_all[sel]
    a = xb @ w_in
    m = a.mean(1, keepdim=True)
    s = torch.sqrt(((a - m) ** 2).mean(1, keepdim=True) + 1e-6)
    a_hat = (a - m) / s
    u = gamma * a_hat + beta
    h = torch.tanh(u)
    pred = h @ w_out + b_out
    loss = ((pred - yb) ** 2).sum(1).mean()

    d_pred = 2 * (pred - yb) / len(xb)
    d_w_out = h.T @ d_pred
    d_b_out = d_pred.sum(0)
    d_h = d_pred @ w_out.T
    d_u = d_h * (1 - h * h)
    d_gamma = (d_u * a_hat).sum(0)
    d_beta = d_u.sum(0)
    d_a = (d_u - d_u.mean(1, keepdim=True) - a_hat * (d_u * a_hat).mean(1, keepdim=True)) / s
    d_w_in = xb.T @ d_a

    for param, grad in [(w_in, d_w_in), (gamma, d_gamma), (beta, d_beta), (w_out, d_w_out), (b_out, d_b_out)]:
        param.add_(grad, alpha=-0.02)
    if k % 2000 == 0:
        print(k, round(loss.item(), 4))
