import torch

torch.manual_seed(33)
inputs = torch.randn(6, 4)
target = torch.randn(6, 2)
w_hidden = torch.randn(4, 5, requires_grad=True)
w_output = torch.randn(5, 2, requires_grad=True)

hidden = torch.relu(inputs @ w_hidden)
output = hidden @ w_output
loss = torch.nn.functional.mse_loss(output, target)
hidden.retain_grad()
output.retain_grad()
loss.backward()


def compare(label, manual, auto):
    if manual is None:
        print(f"{label}: not done yet")
    else:
        print(f"{label}: {torch.allclose(manual, auto.grad)}")


grad_output = (output - target) * 2 / target.numel()
grad_w_output = hidden.T @ grad_output
grad_hidden = None
grad_w_hidden = None  # TODO

compare("output", grad_output, output)
compare("w_output", grad_w_output, w_output)
compare("hidden", grad_hidden, hidden)
compare("w_hidden", grad_w_hidden, w_hidden)
