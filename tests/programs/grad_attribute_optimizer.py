import torch
import torch.nn.functional as F

torch.manual_seed(63)
spirals = torch.randn(90, 2)
which = (spirals.norm(dim=1) > 1.1).long()
first = torch.nn.Linear(2, 14)
second = torch.nn.Linear(14, 2)
optimizer = torch.optim.SGD([*first.parameters(), *second.parameters()], lr=0.2, momentum=0.9)

for step in range(1000):
    rows = torch.randint(0, 90, (30,))
    x, t = spirals[rows], which[rows]
    with torch.no_grad():
        pre = first(x)
        hid = F.elu(pre)
        logits = second(hid)
        loss = F.cross_entropy(logits, t)

        error = logits.softmax(1)
        error[torch.arange(30), t] -= 1.0
        error /= 30
        second.weight.grad = error.T @ hid
        second.bias.grad = error.sum(0)
        back = error @ second.weight
        back = torch.where(pre > 0, back, back * pre.exp())
        first.weight.grad = back.T @ x
        first.bias.grad = back.sum(0)
    optimizer.step()
    if step % 200 == 0:
        print(step, loss.item())
