import torch


def phase_layer(x, theta):
    turn = torch.polar(torch.ones_like(theta), theta)
    return x * turn, (x, turn)


def phase_backward(dout, cache):
    x, turn = cache
    dx = dout * turn.conj()
    dturn = (dout * x.conj()).sum(0)
    dtheta = (dturn * (1j * turn).conj()).real
    return dx, dtheta


torch.manual_seed(92)
x = torch.randn(17, 8)
target = torch.randn(17, 8)
theta1, theta2 = torch.rand(5), torch.rand(8)
for step in range(200):
    spectrum = torch.fft.rfft(x, norm="ortho")
    turned, cache1 = phase_layer(spectrum, theta1)
    back = torch.fft.irfft(turned, n=8, norm="ortho")
    rotated, cache2 = phase_layer(back.to(torch.complex64), theta2)
    error = rotated.real - target
    loss = 0.5 * (error**2).sum() / len(x)

    d_rotated = torch.complex(error, torch.zeros_like(error)) / len(x)
    d_back, d_theta2 = phase_backward(d_rotated, cache2)
    d_turned = torch.fft.rfft(d_back.real, norm="ortho")
    _, d_theta1 = phase_backward(d_turned, cache1)
    theta1 -= 0.1 * d_theta1
    theta2 -= 0.1 * d_theta2
    print(loss.item())
