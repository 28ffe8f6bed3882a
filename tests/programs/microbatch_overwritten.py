import torch
import torch.nn.functional as F

torch.manual_seed(65)
inputs = torch.randn(48, 5)
targets = torch.randint(0, 3, (48,))
params = {"w1": torch.randn(5, 10) * 0.5, "b1": torch.zeros(10), "w2": torch.randn(10, 3) * 0.5, "b2": torch.zeros(3)}
accumulate = 3

for update in range(400):
    grads = {name: torch.zeros_like(p) for name, p in params.items()}
    total = 0.0
    for xb, yb in zip(inputs.chunk(accumulate), targets.chunk(accumulate)):
        z = xb @ params["w1"] + params["b1"]
        a = torch.relu(z)
        out = a @ params["w2"] + params["b2"]
        total = total + F.cross_entropy(out, yb) / accumulate
        dout = (torch.softmax(out, 1) - F.one_hot(yb, 3)) / len(yb) / accumulate
        grads["w2"] += a.T @ dout
        grads["b2"] += dout.sum(0)
        dz = (dout @ params["w2"].T) * (z > 0)
        grads["w1"] = xb.T @ dz
        grads["b1"] += dz.sum(0)
    loss = total
    for name in params:
        params[name] -= 0.5 * grads[name]
    print(update, loss.item())
