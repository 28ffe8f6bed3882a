import torch

torch.manual_seed(29)
x0 = torch.randn(7, 6)
t = torch.randn(7, 6)
Wa, Wb = torch.randn(6, 6) * 0.4, torch.randn(6, 6) * 0.4
Wc = torch.randn(6, 6) * 0.4

e = x0 @ Wc
ua = e @ Wa
fa = torch.tanh(ua)
x1 = e + fa
ub = x1 @ Wb
fb = torch.tanh(ub)
x2 = x1 + fb
loss = ((x2 - t) ** 2).mean()

dx2 = 2 * (x2 - t) / t.numel()
dfb = dx2.clone()
dub = dfb * (1 - fb**2)
dWb = x1.T @ dub
dx1 = dub @ Wb.T
dfa = dx1.clone()
dua = dfa * (1 - fa**2)
dWa = e.T @ dua
de = dx1.clone()
de += dua @ Wa.T
dWc = x0.T @ de
print(loss.item(), dWc.norm().item())
