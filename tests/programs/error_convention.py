import torch


def squash(v):
    return torch.sigmoid(v)


def slope_of(s):
    return s - s * s


torch.manual_seed(38)
bits = torch.tensor([[a, b, c] for a in (0.0, 1.0) for b in (0.0, 1.0) for c in (0.0, 1.0)])
wanted = (bits.sum(dim=1, keepdim=True) % 2 == 1).to(bits.dtype)
W_in = torch.empty(3, 7).uniform_(-1, 1)
W_out = torch.empty(7, 1).uniform_(-1, 1)
rate = 0.9

for turn in range(40_000):
    hid = squash(bits @ W_in)
    out = squash(hid @ W_out)
    out_error = wanted - out
    cost = out_error.pow(2).sum() / 2

    out_delta = out_error * slope_of(out)
    hid_error = out_delta @ W_out.T
    hid_delta = hid_error * slope_of(hid)
    W_out += rate * hid.T @ out_delta
    W_in += rate * bits.T @ hid_delta
    if turn % 8000 == 0:
        print(f"turn {turn}: mean miss {out_error.abs().mean():.3f}")
