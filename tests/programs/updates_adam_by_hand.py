import torch

torch.manual_seed(102)
X = torch.rand(40, 5) * 2 - 1
Y = torch.sin(3 * X[:, :1]) + 0.5 * X[:, 1:2] ** 2
params = {
    "W1": torch.randn(5, 10) * 0.5,
    "b1": torch.zeros(10),
    "W2": torch.randn(10, 1) * 0.5,
    "b2": torch.zeros(1),
}
m = {k: torch.zeros_like(v) for k, v in params.items()}
v = {k: torch.zeros_like(p) for k, p in params.items()}
beta1, beta2, eps = 0.9, 0.999, 1e-8

for t in range(1, 3001):
    z = X @ params["W1"] + params["b1"]
    a = torch.relu(z)
    out = a @ params["W2"] + params["b2"]
    loss = ((out - Y) ** 2).mean()

    grads = {}
    dout = 2 * (out - Y) / Y.numel()
    grads["W2"] = a.T @ dout
    grads["b2"] = dout.sum(0)
    da = dout @ params["W2"].T
    dz = da * (z > 0)
    grads["W1"] = X.T @ dz
    grads["b1"] = dz.sum(0)

    for k in params:
        m[k] = beta1 * m[k] + (1 - beta1) * grads[k]
        v[k] = beta2 * v[k] + (1 - beta2) * grads[k] ** 2
        m_hat = m[k] / (1 - beta1**t)
        v_hat = v[k] / (1 - beta2**t)
        params[k] = params[k] - 0.01 * m_hat / (v_hat.sqrt() + eps)
    if t % 500 == 0:
        print(t, loss.item())
