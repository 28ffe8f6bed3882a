import torch
from torch.func import functional_call, jvp, vjp

torch.manual_seed(84)
x = torch.randn(16, 4)
goal = torch.randn(16, 2)
body = torch.nn.Sequential(torch.nn.Linear(4, 9), torch.nn.GELU(), torch.nn.Linear(9, 6))
body_params = {k: v.detach() for k, v in body.named_parameters()}
top = torch.randn(6, 2) * 0.3
rate = 0.1

for step in range(50):
    z, pull_back = vjp(lambda p: functional_call(body, p, (x,)), body_params)
    r = torch.relu(z)
    out = r @ top
    loss = (out - goal).square().mean()

    d_out = 2 * (out - goal) / goal.numel()
    d_top = r.T @ d_out
    d_r = d_out @ top.T
    d_z = d_r * (r >= 0)
    (grads,) = pull_back(d_z)

    _, slope = jvp(lambda t: torch.relu(z) @ t, (top,), (d_top,))
    body_params = {k: p - rate * grads[k] for k, p in body_params.items()}
    top = top - rate * d_top
    print(step, loss.item(), slope.norm().item())
