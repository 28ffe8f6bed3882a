import torch

torch.manual_seed(1)


def initialize(n_x, n_h, n_y):
    return {
        "W1": torch.randn(n_h, n_x) * 0.5,
        "b1": torch.zeros(n_h, 1),
        "W2": torch.randn(n_y, n_h) * 0.5,
        "b2": torch.zeros(n_y, 1),
    }


def forward(X, params):
    Z1 = params["W1"] @ X + params["b1"]
    A1 = torch.tanh(Z1)
    Z2 = params["W2"] @ A1 + params["b2"]
    A2 = torch.sigmoid(Z2)
    return A2, {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}


def compute_cost(A2, Y):
    m = Y.shape[1]
    return -(Y * torch.log(A2) + (1 - Y) * torch.log(1 - A2)).sum() / m


def backward(params, cache, X, Y):
    m = X.shape[1]
    A1, A2 = cache["A1"], cache["A2"]
    dZ2 = A2 - Y
    dW2 = dZ2 @ A1.T / m
    db2 = dZ2.sum(dim=1, keepdim=True) / m
    dZ1 = (params["W2"].T @ dZ2) * (1 - A1**2)
    dW1 = dZ1 @ X.T / m
    db1 = dZ1.sum(dim=1, keepdim=True) / m
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}


X = torch.randn(2, 40)
Y = ((X[0] * X[1]) > 0).double().view(1, -1).to(X.dtype)
params = initialize(2, 4, 1)
for i in range(10000):
    A2, cache = forward(X, params)
    cost = compute_cost(A2, Y)
    grads = backward(params, cache, X, Y)
    for key in params:
        params[key] = params[key] - 1.2 * grads["d" + key]
    if i % 1000 == 0:
        print(f"Cost after iteration {i}: {cost:.6f}")
