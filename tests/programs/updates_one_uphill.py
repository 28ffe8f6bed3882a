import torch


class Dense:
    def __init__(self, fan_in, fan_out):
        self.W = torch.randn(fan_in, fan_out) / fan_in**0.5
        self.b = torch.zeros(fan_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(0)
        return dout @ self.W.T


torch.manual_seed(111)
data = torch.randn(28, 4)
goal = data.sum(1, keepdim=True).sin()
lower, upper = Dense(4, 10), Dense(10, 1)

for epoch in range(300):
    pre = lower.forward(data)
    mid = torch.tanh(pre)
    out = upper.forward(mid)
    loss = ((out - goal) ** 2).mean()
    dout = 2 * (out - goal) / 28
    dmid = upper.backward(dout)
    dpre = dmid * (1 - mid**2)
    lower.backward(dpre)
    upper.W -= 0.1 * upper.dW
    upper.b -= 0.1 * upper.db
    lower.W += 0.1 * lower.dW
    lower.b -= 0.1 * lower.db
    if epoch % 50 == 0:
        print(epoch, loss.item())
