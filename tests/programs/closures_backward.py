import torch

store = {}


def linear(x, name, w, b):
    def pull(dy):
        store[name + ".w"] = x.T @ dy
        store[name + ".b"] = dy.sum(0).view_as(b)
        return dy @ w.T

    return x @ w + b, pull


def softplus(x):
    y = torch.log1p(torch.exp(x))

    def pull(dy):
        return dy * torch.sigmoid(x)

    return y, pull


def squared_error(pred, goal):
    diff = pred - goal

    def pull(dy):
        return dy * 2 * diff / diff.numel()

    return (diff**2).mean(), pull


torch.manual_seed(28)
x = torch.randn(11, 4)
goal = torch.randn(11, 2)
w1, b1 = torch.randn(4, 7) * 0.4, torch.zeros(7)
w2, b2 = torch.randn(7, 2) * 0.4, torch.zeros(2)

tape = []
h, pull = linear(x, "fc1", w1, b1)
tape.append(pull)
h, pull = softplus(h)
tape.append(pull)
h, pull = linear(h, "fc2", w2, b2)
tape.append(pull)
loss, pull = squared_error(h, goal)
tape.append(pull)

grad = torch.ones(())
for pull in reversed(tape):
    grad = pull(grad)

for key, value in store.items():
    print(key, value.norm().item())
