import torch


class Line:
    def __init__(self, features):
        self.w = torch.zeros(features, 1)
        self.b = torch.zeros(1)

    def forward(self, rows):
        return rows @ self.w + self.b

    def backward(self, rows, said, target):
        grad_said = 2 * (said - target)
        grad_w = rows.T @ grad_said / target.size(0)
        grad_b = grad_said.sum(0) / target.size(0)
        return grad_w, grad_b


torch.manual_seed(6)
table = torch.randn(50, 3)
price = table @ torch.tensor([[1.0], [-2.0], [0.5]]) + 3
model = Line(3)

for epoch in range(20):
    order = torch.randperm(50)
    for pick in torch.split(order, 10):
        said = model.forward(table[pick])
        loss = torch.mean((said - price[pick]) ** 2)
        dw, db = model.backward(table[pick], said, price[pick])
        model.w -= 0.1 * dw
        model.b -= 0.1 * db
print(loss)
