import torch

torch.manual_seed(7)
f64 = torch.float64
x = torch.tensor([0.5, -1.2, 0.3], dtype=f64)
t = torch.tensor([0.2, 0.7], dtype=f64)
W = torch.randn(4, 3, dtype=f64)
b = torch.randn(4, dtype=f64)
U = torch.randn(2, 4, dtype=f64)
c = torch.randn(2, dtype=f64)

for _ in range(100):
    z = W @ x + b
    a = torch.sigmoid(z)
    o = U @ a + c
    p = torch.sigmoid(o)
    L = -(t * p.log() + (1 - t) * (1 - p).log()).sum()

    dL_dp = (p - t) / (p * (1 - p))
    dL_do = dL_dp * p * (1 - p)
    dL_dU = torch.outer(dL_do, a)
    dL_dc = dL_do.clone()
    dL_da = U.T @ dL_do
    dL_dz = dL_da * a * (1 - a)
    dL_dW = torch.outer(dL_dz, x)
    dL_db = dL_dz

    W -= 0.1 * dL_dW
    b -= 0.1 * dL_db
    U -= 0.1 * dL_dU
    c -= 0.1 * dL_dc
print(L)
