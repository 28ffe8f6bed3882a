# %% [markdown]
# # Day 70, the small variant: the slope of tanh
#
# `embedding -> Linear -> BatchNorm -> tanh -> Linear -> cross-entropy`
#
# **This program is wrong on purpose**, in one place: where the backward pass goes through the
# tanh, its slope is written `1 - t` instead of `1 - t**2`. The loss comes down all the same.

# %%
import random

import torch
import torch.nn.functional as F

# %%
# one name per line; "." (index 0) stands for both the start and the end of a name
with open("data/names.txt") as file:
    names = file.read().splitlines()
characters = sorted(set("".join(names)))
char_to_index = {char: index + 1 for index, char in enumerate(characters)}
char_to_index["."] = 0
index_to_char = {index: char for char, index in char_to_index.items()}
vocab_size = len(char_to_index)
print(f"{len(names)} names, {vocab_size} characters")

# %%
context_size = 4  # how many characters the model sees when it predicts the next one


def build_dataset(some_names):
    X, Y = [], []
    for name in some_names:
        context = [0] * context_size
        for char in name + ".":
            index = char_to_index[char]
            X.append(context)
            Y.append(index)
            context = context[1:] + [index]
    return torch.tensor(X), torch.tensor(Y)


random.seed(70)
random.shuffle(names)
train_end = int(0.8 * len(names))
val_end = int(0.9 * len(names))
X_train, Y_train = build_dataset(names[:train_end])
X_val, Y_val = build_dataset(names[train_end:val_end])
X_test, Y_test = build_dataset(names[val_end:])
print(X_train.shape, X_val.shape, X_test.shape)

# %%
embedding_size = 10
hidden_size = 200
input_size = context_size * embedding_size

generator = torch.Generator().manual_seed(1972)
C = torch.randn((vocab_size, embedding_size), generator=generator)

# layer 1 and its BatchNorm
W_1 = torch.randn((input_size, hidden_size), generator=generator) * (5 / 3) / input_size**0.5
b_1 = torch.randn(hidden_size, generator=generator) * 0.1
gamma_1 = torch.randn((1, hidden_size), generator=generator) * 0.1 + 1.0
beta_1 = torch.randn((1, hidden_size), generator=generator) * 0.1

# output layer
W_2 = torch.randn((hidden_size, vocab_size), generator=generator) * 0.02
b_2 = torch.randn(vocab_size, generator=generator) * 0.1

parameters = [C, W_1, b_1, gamma_1, beta_1, W_2, b_2]
print(sum(p.nelement() for p in parameters), "parameters")

# %%
max_steps = 200_000
batch_size = 32
n = batch_size
losses = []

with torch.no_grad():
    for step in range(max_steps):
        # minibatch
        batch = torch.randint(0, X_train.shape[0], (batch_size,), generator=generator)
        X_batch, Y_batch = X_train[batch], Y_train[batch]

        # forward
        emb = C[X_batch]
        emb_flat = emb.view(emb.shape[0], -1)
        pre_batch_norm_1 = emb_flat @ W_1 + b_1
        mean_1 = pre_batch_norm_1.mean(0, keepdim=True)
        var_1 = pre_batch_norm_1.var(0, keepdim=True, unbiased=True)
        var_inv_1 = (var_1 + 1e-5) ** -0.5
        norm_1 = (pre_batch_norm_1 - mean_1) * var_inv_1
        Z_1 = gamma_1 * norm_1 + beta_1
        T_1 = torch.tanh(Z_1)
        logits = T_1 @ W_2 + b_2
        exp_logits = (logits - logits.max(1, keepdim=True).values).exp()
        probs = exp_logits / exp_logits.sum(1, keepdim=True)
        loss = -probs[range(n), Y_batch].log().mean()

        # backward: softmax and cross-entropy in one
        d_logits = probs.clone()
        d_logits[range(n), Y_batch] -= 1
        d_logits /= n
        # backward: output layer and tanh
        d_T_1 = d_logits @ W_2.T
        d_W_2 = T_1.T @ d_logits
        d_b_2 = d_logits.sum(0)
        d_Z_1 = d_T_1 * (1 - T_1)
        # backward: BatchNorm 1
        d_gamma_1 = (norm_1 * d_Z_1).sum(0, keepdim=True)
        d_beta_1 = d_Z_1.sum(0, keepdim=True)
        d_pre_batch_norm_1 = (gamma_1 * var_inv_1 / n) * (
            n * d_Z_1 - d_Z_1.sum(0) - n / (n - 1) * norm_1 * (d_Z_1 * norm_1).sum(0)
        )
        # backward: layer 1
        d_emb_flat = d_pre_batch_norm_1 @ W_1.T
        d_W_1 = emb_flat.T @ d_pre_batch_norm_1
        d_b_1 = d_pre_batch_norm_1.sum(0)
        # backward: embedding, character by character
        d_emb = d_emb_flat.view(emb.shape)
        d_C = torch.zeros_like(C)
        for row in range(X_batch.shape[0]):
            for position in range(X_batch.shape[1]):
                index = X_batch[row, position]
                d_C[index] += d_emb[row, position]

        # update
        learning_rate = 0.1 if step < 100_000 else 0.01
        C -= learning_rate * d_C
        W_1 -= learning_rate * d_W_1
        b_1 -= learning_rate * d_b_1
        gamma_1 -= learning_rate * d_gamma_1
        beta_1 -= learning_rate * d_beta_1
        W_2 -= learning_rate * d_W_2
        b_2 -= learning_rate * d_b_2

        losses.append(loss.item())
        if step % 10_000 == 0:
            print(f"{step:7d}/{max_steps:7d}: {loss.item():.4f}")

# %%
# calibrate the BatchNorm: its statistics over the whole training set, for single examples later
with torch.no_grad():
    emb_flat = C[X_train].view(-1, input_size)
    pre_batch_norm_1 = emb_flat @ W_1 + b_1
    calibrated_mean_1 = pre_batch_norm_1.mean(0, keepdim=True)
    calibrated_var_1 = pre_batch_norm_1.var(0, keepdim=True, unbiased=True)


# %%
# evaluate: the same network, with the calibrated statistics
@torch.no_grad()
def split_loss(split):
    X, Y = {"train": (X_train, Y_train), "val": (X_val, Y_val), "test": (X_test, Y_test)}[split]
    emb_flat = C[X].view(-1, input_size)
    pre_batch_norm_1 = emb_flat @ W_1 + b_1
    norm_1 = (pre_batch_norm_1 - calibrated_mean_1) * (calibrated_var_1 + 1e-5) ** -0.5
    T_1 = torch.tanh(gamma_1 * norm_1 + beta_1)
    logits = T_1 @ W_2 + b_2
    print(f"{split:5s} {F.cross_entropy(logits, Y).item():.4f}")


split_loss("train")
split_loss("val")

# %%
# sample 20 names
sample_generator = torch.Generator().manual_seed(2073)

with torch.no_grad():
    for _ in range(20):
        sampled = []
        context = [0] * context_size
        while True:
            emb_flat = C[torch.tensor([context])].view(1, input_size)
            pre_batch_norm_1 = emb_flat @ W_1 + b_1
            norm_1 = (pre_batch_norm_1 - calibrated_mean_1) * (calibrated_var_1 + 1e-5) ** -0.5
            T_1 = torch.tanh(gamma_1 * norm_1 + beta_1)
            logits = T_1 @ W_2 + b_2
            probs = F.softmax(logits, dim=1)
            index = torch.multinomial(probs, num_samples=1, generator=sample_generator).item()
            context = context[1:] + [index]
            sampled.append(index_to_char[index])
            if index == 0:
                break
        print("".join(sampled))
