import torch
import torch.nn.functional as F


def forward(x, net, p, training):
    z1 = F.linear(x, net["w1"], net["b1"])
    a1 = F.relu(z1)
    d1 = F.dropout(a1, p, training)
    z2 = F.linear(d1, net["w2"], net["b2"])
    return z2, (x, z1, a1, d1)


def backward(dz2, net, p, cache):
    x, z1, a1, d1 = cache
    grads = {"w2": dz2.T @ d1, "b2": dz2.sum(0)}
    dd1 = dz2 @ net["w2"]
    # zero where relu or dropout made it zero; what was kept has been divided by 1 - p
    dz1 = dd1 * (d1 != 0) / (1 - p)
    grads["w1"] = dz1.T @ x
    grads["b1"] = dz1.sum(0)
    return grads


torch.manual_seed(68)
net = {"w1": torch.randn(20, 4) * 0.5, "b1": torch.zeros(20), "w2": torch.randn(3, 20) * 0.3, "b2": torch.zeros(3)}
data, labels = torch.randn(25, 4), torch.randint(3, (25,))
for step in range(300):
    scores, cache = forward(data, net, 0.4, True)
    loss = F.cross_entropy(scores, labels)
    dscores = scores.softmax(1)
    dscores[range(25), labels] -= 1
    dscores /= 25
    grads = backward(dscores, net, 0.4, cache)
    for k in net:
        net[k] -= 0.2 * grads[k]
    print(loss.item())
