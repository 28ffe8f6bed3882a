import torch

torch.manual_seed(12)
xs = torch.linspace(-2, 2, 25).view(-1, 1)
ys = xs**2 - 0.5 * xs

W1 = torch.randn(1, 9)
b1 = torch.randn(9) * 0.2
W2 = torch.randn(9, 1) * 0.3
b2 = torch.randn(1)

step = 0
while True:
    h_pre = xs @ W1 + b1
    h = h_pre.sigmoid()
    pred = h @ W2 + b2
    loss = torch.mean((pred - ys) ** 2)

    pred_grad = (pred - ys) / ys.shape[0]
    W2_grad = h.T @ pred_grad
    b2_grad = pred_grad.sum(0)
    h_grad = pred_grad @ W2.T
    h_pre_grad = h_grad * h * (1 - h)
    W1_grad = xs.T @ h_pre_grad
    b1_grad = h_pre_grad.sum(0)

    W1 -= 0.3 * W1_grad
    b1 -= 0.3 * b1_grad
    W2 -= 0.3 * W2_grad
    b2 -= 0.3 * b2_grad
    step += 1
    if loss < 1e-3 or step > 100000:
        break
