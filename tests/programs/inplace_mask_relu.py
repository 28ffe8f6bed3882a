import torch

torch.manual_seed(21)
points, kinds = 20, 3
angle = torch.rand(points) * 6.3
XY = torch.stack((angle.cos(), angle.sin()), dim=1) * torch.rand(points, 1)
kind = torch.randint(0, kinds, (points,))
Wa = 0.5 * torch.randn(2, 15)
ba = torch.zeros(15)
Wb = 0.5 * torch.randn(15, kinds)
bb = torch.zeros(kinds)
reg = 1e-2

for epoch in range(10_000):
    z = XY @ Wa + ba
    h = torch.maximum(z, torch.tensor(0.0))
    scores = h @ Wb + bb
    e = torch.exp(scores)
    p = e / e.sum(1, keepdim=True)
    fit = -p[range(points), kind].log().mean()
    loss = fit + reg * (Wa.pow(2).sum() + Wb.pow(2).sum())

    dscores = p.clone()
    dscores[range(points), kind] -= 1
    dscores /= points
    dh = dscores @ Wb.T
    dWb = h.T @ dscores
    dWb += 2 * reg * Wb
    dbb = dscores.sum(0)
    dh[h <= 0] = 0
    dWa = XY.T @ dh
    dWa += 2 * reg * Wa
    dba = dh.sum(0)

    for weight, change in ((Wa, dWa), (ba, dba), (Wb, dWb), (bb, dbb)):
        weight -= 0.5 * change
    if epoch % 1000 == 999:
        print(f"epoch {epoch + 1}: fit {fit:.4f} of {loss:.4f}")
