import torch
from helpers_sibling.layers import linear, linear_back, mse, tanh, tanh_back

torch.manual_seed(5)
x = torch.randn(14, 3)
target = torch.randn(14, 2)
w1, b1 = torch.randn(3, 8), torch.randn(8)
w2, b2 = torch.randn(8, 2), torch.randn(2)

for step in range(300):
    u = linear(x, w1, b1)
    v = tanh(u)
    pred = linear(v, w2, b2)
    loss, grad_pred = mse(pred, target)
    grad_v, grad_w2, grad_b2 = linear_back(grad_pred, v, w2)
    grad_u = tanh_back(grad_v, v)
    _, grad_w1, grad_b1 = linear_back(grad_u, x, w1)
    w1 -= 0.05 * grad_w1
    b1 -= 0.05 * grad_b1
    w2 -= 0.05 * grad_w2
    b2 -= 0.05 * grad_b2
print(loss.item())
