import torch

torch.manual_seed(2)
m = 12
X = torch.randn(m, 3)
Y = (X @ torch.tensor([1.0, -1.0, 0.5]) > 0).to(X.dtype)
w = torch.zeros(3)
b = torch.zeros(())
alpha = 0.5

for it in range(1000):
    J = 0
    dw = torch.zeros(3)
    db = torch.zeros(())
    for i in range(m):
        z = torch.dot(w, X[i]) + b
        a = torch.sigmoid(z)
        J += -(Y[i] * torch.log(a) + (1 - Y[i]) * torch.log(1 - a))
        dz = a - Y[i]
        dw += X[i] * dz
        db += dz
    J /= m
    dw /= m
    db /= m
    w = w - alpha * dw
    b = b - alpha * db
print(J)
