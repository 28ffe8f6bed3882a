import torch

torch.manual_seed(91)
n, width = 24, 5
signal = torch.randn(n, width, dtype=torch.complex64)
mixing = torch.randn(width, 3, dtype=torch.complex64) * 0.6
power = (signal @ mixing).abs() ** 2
W = torch.randn(width, 4, dtype=torch.complex64) * 0.4
c = torch.zeros(4, dtype=torch.complex64)
V = torch.randn(4, 3) * 0.5

for step in range(300):
    z = signal @ W + c
    mag = z.real**2 + z.imag**2
    pred = mag @ V
    loss = ((pred - power) ** 2).mean()

    # torch's convention: dz is dL/d(real) + 1j * dL/d(imag)
    dpred = 2 * (pred - power) / pred.numel()
    dV = mag.T @ dpred
    dmag = dpred @ V.T
    dz = 2 * dmag * z
    dW = signal.conj().T @ dz
    dc = dz.sum(0)

    W -= 0.01 * dW
    c -= 0.01 * dc
    V -= 0.01 * dV
    if step % 50 == 0:
        print(step, loss.item())
