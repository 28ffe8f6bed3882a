import torch
from helpers_sibling import layers

torch.manual_seed(89)
rows = torch.randn(14, 3)
goal = rows @ torch.randn(3, 2)
weight, offset = torch.randn(3, 2), torch.zeros(2)

for step in range(100):
    guess = layers.linear(rows, weight, offset)
    loss, d_guess = layers.mse(guess, goal)
    _, d_weight, d_offset = layers.linear_back(d_guess, rows, weight)
    weight -= 0.1 * d_weight
    offset -= 0.1 * d_offset
