import torch

torch.manual_seed(13)
bsz, steps, dim, head = 3, 6, 8, 5
x = torch.randn(bsz, steps, dim)
target = torch.randn(bsz, steps, head)
Wq = torch.randn(dim, head) / dim**0.5
Wk = torch.randn(dim, head) / dim**0.5
Wv = torch.randn(dim, head) / dim**0.5
mask = torch.tril(torch.ones(steps, steps)) == 0

q = x @ Wq
k = x @ Wk
v = x @ Wv
scores = q @ k.transpose(1, 2) / head**0.5
masked = scores.masked_fill(mask, float("-inf"))
att = torch.softmax(masked, dim=-1)
out = att @ v
loss = 0.5 * ((out - target) ** 2).sum() / bsz

dout = (out - target) / bsz
datt = dout @ v.transpose(1, 2)
dv = att.transpose(1, 2) @ dout
dscores = att * (datt - (datt * att).sum(-1, keepdim=True))
dq = dscores @ k / head**0.5
dk = dscores.transpose(1, 2) @ q / head**0.5
flat_x = x.reshape(-1, dim)
dWq = flat_x.T @ dq.reshape(-1, head)
dWk = flat_x.T @ dk.reshape(-1, head)
dWv = flat_x.T @ dv.reshape(-1, head)
dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
print(loss.item(), dx.abs().max().item())
