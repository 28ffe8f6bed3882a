import torch

torch.manual_seed(40)
features = torch.randn(128, 5)
goal = torch.tanh(features[:, :2] @ torch.randn(2, 2))
Win = torch.randn(5, 12) / 5**0.5
Wout = torch.randn(12, 2) / 12**0.5
scale = torch.rand(12) + 0.5
offset = torch.randn(12) * 0.1
eps = 1e-5

for it in range(1000):
    rows = torch.randperm(128)[:32]
    xb, yb = features[rows], goal[rows]
    lin = xb @ Win
    mean = lin.mean(dim=0, keepdim=True)
    cent = lin - mean
    var = (cent**2).mean(dim=0, keepdim=True)
    rstd = (var + eps) ** (-0.5)
    hat = cent * rstd
    bn = hat * scale + offset
    act = torch.tanh(bn)
    out = act @ Wout
    loss = ((out - yb) ** 2).mean()

    d_out = 2 * (out - yb) / out.numel()
    d_Wout = act.T @ d_out
    d_act = d_out @ Wout.T
    d_bn = d_act * (1 - act.pow(2))
    d_scale = (d_bn * hat).sum(0)
    d_offset = d_bn.sum(0)
    d_hat = d_bn * scale
    d_rstd = (d_hat * cent).sum(0, keepdim=True)
    d_var = d_rstd * -0.5 * var ** (-1.5)
    d_cent = d_hat * rstd + d_var * 2 * cent / xb.shape[0]
    d_mean = -d_cent.sum(0, keepdim=True)
    d_lin = d_cent + d_mean / xb.shape[0]
    d_Win = xb.T @ d_lin

    Win = Win - 0.1 * d_Win
    Wout = Wout - 0.1 * d_Wout
    scale = scale - 0.1 * d_scale
    offset = offset - 0.1 * d_offset
