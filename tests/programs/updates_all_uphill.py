import torch

torch.manual_seed(112)
X = torch.randn(20, 3)
Y = torch.randn(20, 2)
U = torch.randn(3, 6) * 0.5
V = torch.randn(6, 2) * 0.5
velocity = {"U": torch.zeros_like(U), "V": torch.zeros_like(V)}

for step in range(100):
    h = torch.tanh(X @ U)
    out = h @ V
    loss = ((out - Y) ** 2).mean()
    d_out = 2 * (out - Y) / out.numel()
    d_V = h.T @ d_out
    d_h = d_out @ V.T
    d_U = X.T @ (d_h * (1 - h**2))
    velocity["U"] = 0.9 * velocity["U"] + d_U
    velocity["V"] = 0.9 * velocity["V"] + d_V
    U += 0.05 * velocity["U"]
    V += 0.05 * velocity["V"]
    print(step, loss.item())
