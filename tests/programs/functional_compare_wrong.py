import torch
import torch.nn.functional as F
from torch.func import grad_and_value, vmap


def predict(params, x):
    hidden = torch.tanh(x @ params["w_in"] + params["b_in"])
    return hidden @ params["w_out"] + params["b_out"]


def loss_fn(params, x, y):
    return F.mse_loss(predict(params, x), y)


def manual_grads(params, x, y):
    hidden = torch.tanh(x @ params["w_in"] + params["b_in"])
    pred = hidden @ params["w_out"] + params["b_out"]
    loss = F.mse_loss(pred, y)
    d_pred = 2 * (pred - y) / y.numel()
    d_hidden = d_pred @ params["w_out"].T
    d_pre = d_hidden * (1 - hidden**2)
    return loss, {
        "w_in": x.T @ d_hidden,
        "b_in": d_pre.sum(0),
        "w_out": hidden.T @ d_pred,
        "b_out": d_pred.sum(0),
    }


torch.manual_seed(83)
x, y = torch.randn(22, 3), torch.randn(22, 2)
params = {"w_in": torch.randn(3, 7), "b_in": torch.zeros(7), "w_out": torch.randn(7, 2) * 0.4, "b_out": torch.zeros(2)}
per_sample = vmap(torch.func.grad(loss_fn), in_dims=(None, 0, 0))
for step in range(60):
    loss, grads = manual_grads(params, x, y)
    auto, auto_loss = grad_and_value(loss_fn)(params, x, y)
    for name in params:
        worst = (grads[name] - auto[name]).abs().max().item()
        print(step, name, worst, per_sample(params, x, y)[name].norm(dim=0).max().item())
    params = {name: p - 0.1 * grads[name] for name, p in params.items()}
