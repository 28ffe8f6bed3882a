import torch

torch.manual_seed(83)
n = 8
x = torch.randn(n, 5)
y = torch.randn(n, 8)
W = torch.randn(5, 8) * 0.5
gain = torch.rand(8) + 0.5
bias = torch.randn(8) * 0.2

a = x @ W
mean = a.mean(dim=1, keepdim=True)
centered = a - mean
var = centered.pow(2).mean(dim=1, keepdim=True)
std = (var + 1e-5).sqrt()
normed = centered / std
out = normed * gain + bias
loss = (out - y).abs().pow(2).sum() / n

grad_out = 2 * (out - y) / n
grad_gain = (grad_out * normed).sum(0)
grad_bias = grad_out.sum(0)
grad_normed = grad_out * gain
grad_std = -(grad_normed * centered / std**2).sum(1, keepdim=True)
grad_var = grad_std / (2 * std)
grad_centered = grad_normed / std + grad_var * 2 * centered / 8
grad_a = grad_centered - grad_centered.mean(1)
grad_W = x.T @ grad_a
print(loss.item(), grad_W.norm().item())
