import torch

torch.manual_seed(57)
x = torch.randn(20, 4)
goal = torch.randn(20, 1) * 2
w = torch.randn(4, 8) * 0.6
slope = torch.tensor(0.25)
temp = torch.tensor(1.3)
v = torch.randn(8, 1) * 0.6

pre = x @ w
act = torch.where(pre > 0, pre, slope * pre)
mix = act @ v
out = mix / temp
err = out - goal
small = err.abs() < 1
loss = torch.where(small, 0.5 * err**2, err.abs() - 0.5).mean()

err_d = torch.where(small, err, err.sign()) / err.numel()
out_d = err_d.clone()
mix_d = out_d / temp
temp_d = -(out_d * mix).sum() / temp**2
v_d = act.T @ mix_d
act_d = mix_d @ v.T
slope_d = (act_d * pre)[pre <= 0].sum()
pre_d = act_d * torch.where(pre > 0, 1.0, slope)
w_d = x.T @ pre_d
for p, p_d in ((w, w_d), (slope, slope_d), (temp, temp_d), (v, v_d)):
    p -= 0.1 * p_d
print(loss.item())
