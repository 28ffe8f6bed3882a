import torch

torch.manual_seed(76)
x = torch.randn(8, 4)
y = torch.randn(8, 3)
Wg = torch.randn(4, 6)
Wh = torch.randn(4, 6)
Wo = torch.randn(6, 3)

zg = x @ Wg
g = torch.sigmoid(zg)
zh = x @ Wh
h = torch.sin(zh)
m = g * h
o = m @ Wo
loss = ((o - y) ** 2).sum()

d_o = 2 * (o - y)
d_Wo = m.T @ d_o
d_m = d_o @ Wo.T
d_g = d_m * h
d_h = d_m * g
d_zg = d_g * g * (1 - g)
d_zh = d_h * torch.cos(h)
d_Wg = x.T @ d_zg
d_Wh = x.T @ d_zh
print(loss.item(), d_Wg.norm().item(), d_Wh.norm().item())
