import torch


def affine_forward(x, w, b):
    out = x @ w + b
    return out, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    dx = dout @ w.T
    dw = x.T @ dout
    db = dout.sum(0)
    return dx, dw, db


def relu_forward(x):
    return torch.clamp(x, min=0), x


def relu_backward(dout, cache):
    return dout * (cache > 0)


def softmax_loss(scores, y):
    shifted = scores - scores.max(dim=1, keepdim=True).values
    log_probs = shifted - shifted.exp().sum(1, keepdim=True).log()
    n = scores.shape[0]
    loss = -log_probs[torch.arange(n), y].mean()
    dscores = log_probs.exp()
    dscores[torch.arange(n), y] -= 1
    dscores /= n
    return loss, dscores


torch.manual_seed(11)
x = torch.randn(10, 7)
y = torch.randint(0, 4, (10,))
w1, b1 = torch.randn(7, 9) * 0.3, torch.zeros(9)
w2, b2 = torch.randn(9, 4) * 0.3, torch.zeros(4)

a, fc1_cache = affine_forward(x, w1, b1)
h, relu_cache = relu_forward(a)
scores, fc2_cache = affine_forward(h, w2, b2)
loss, dscores = softmax_loss(scores, y)
dh, dw2, db2 = affine_backward(dscores, fc2_cache)
da = relu_backward(dh, relu_cache)
dx, dw1, db1 = affine_backward(da, fc1_cache)

for param, d in ((w1, dw1), (b1, db1), (w2, dw2), (b2, db2)):
    param -= 0.1 * d
print("loss", float(loss))
