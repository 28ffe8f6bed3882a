import torch


def step_backward(dh, h_prev, h, x, U, grads):
    draw = dh * (1 - h**2)
    grads["W"] += x.T @ draw
    grads["U"] += h_prev.T @ draw
    grads["b"] += draw.sum(0)
    return dh @ U.T


torch.manual_seed(24)
steps, n, d, k = 5, 6, 3, 7
X = torch.randn(steps, n, d)
goal = torch.randn(n, 2)
params = {"W": torch.randn(d, k) * 0.5, "U": torch.randn(k, k) * 0.4, "b": torch.zeros(k), "V": torch.randn(k, 2) * 0.5}

hs = [torch.zeros(n, k)]
for t in range(steps):
    hs.append(torch.tanh(X[t] @ params["W"] + hs[-1] @ params["U"] + params["b"]))
pred = hs[-1] @ params["V"]
loss = ((pred - goal) ** 2).mean()

grads = {name: torch.zeros_like(p) for name, p in params.items()}
dpred = 2 * (pred - goal) / goal.numel()
grads["V"] = hs[-1].T @ dpred
dh = dpred @ params["V"].T
for t in reversed(range(steps)):
    dh = step_backward(dh, hs[t], hs[t + 1], X[t], params["U"], grads)
for name in params:
    params[name] = params[name] - 0.1 * grads[name]
print(loss.item(), {k: round(v.norm().item(), 4) for k, v in grads.items()})
