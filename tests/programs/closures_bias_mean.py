import torch


def affine(w, b, grads):
    def forward(x):
        def backward(upstream):
            grads.append((b, upstream.mean(0)))
            grads.append((w, torch.einsum("ni,no->io", x, upstream)))
            return upstream @ w.T

        return x @ w + b, backward

    return forward


def swish(x):
    gate = torch.sigmoid(x)

    def backward(upstream):
        return upstream * gate * (1 + x * (1 - gate))

    return x * gate, backward


def chain(*steps):
    def forward(x):
        undo = []
        for step in steps:
            x, back = step(x)
            undo.append(back)

        def backward(upstream):
            for back in undo[::-1]:
                upstream = back(upstream)
            return upstream

        return x, backward

    return forward


torch.manual_seed(62)
x = torch.randn(9, 5)
y = torch.randn(9, 1)
params = [torch.randn(5, 8) * 0.4, torch.zeros(8), torch.randn(8, 1) * 0.4, torch.zeros(1)]
for step in range(200):
    grads = []
    model = chain(affine(params[0], params[1], grads), swish, affine(params[2], params[3], grads))
    out, backward = model(x)
    loss = ((out - y) ** 2).mean()
    backward(2 * (out - y) / len(y))
    for p, g in grads:
        p.sub_(g, alpha=0.1)
    print(float(loss))
