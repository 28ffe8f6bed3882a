import torch

torch.manual_seed(114)
x = torch.randn(30, 4)
y = torch.randn(30, 1)
params = {"w1": torch.randn(4, 7) * 0.5, "w2": torch.randn(7, 1) * 0.5}
lr, decay = 0.1, 0.01

for step in range(600):
    h = torch.sigmoid(x @ params["w1"])
    pred = h @ params["w2"]
    loss = ((pred - y) ** 2).sum() / 30
    grads = {}
    d_pred = 2 * (pred - y) / 30
    grads["w2"] = h.T @ d_pred
    d_h = d_pred @ params["w2"].T
    grads["w1"] = x.T @ (d_h * h * (1 - h))
    params["w2"] -= lr * (grads["w2"] + decay * params["w2"])
    params["w1"] -= lr * decay * params["w1"]
print(loss.item())
