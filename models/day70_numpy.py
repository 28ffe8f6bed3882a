# %% [markdown]
# # Day 70 in NumPy: a third layer, and the loss does not come down
#
# The network of `day70.py`, with arrays in the place of tensors:
#
# `Layer1 - BatchNorm1 - Layer2 - BatchNorm2 - OutputLayer`, with leaky ReLU in between
#
# **This program is wrong on purpose.** It runs, the loss moves, and the names it makes up look
# odd. What is wrong with it:
#
# - the second BatchNorm multiplies by the standard deviation instead of dividing by it;
# - the backward pass goes around the second BatchNorm: its gradient is computed, never used, and
#   the gradients of `A_1`, `W_2` and `b_2` are taken from the one before it;
# - the calibration of the second BatchNorm leaves out the first BatchNorm;
# - the learning rate is far too small.

# %%
import numpy as np

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
rng = np.random.default_rng(70)


def build_dataset(some_names):
    X, Y = [], []
    for name in some_names:
        context = [0] * context_size
        for char in name + ".":
            index = char_to_index[char]
            X.append(context)
            Y.append(index)
            context = context[1:] + [index]
    return np.array(X), np.array(Y)


rng.shuffle(names)
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

C = rng.standard_normal((vocab_size, embedding_size))

# layer 1
W_1 = rng.standard_normal((input_size, hidden_size)) * (2 / input_size) ** 0.5
b_1 = rng.standard_normal(hidden_size) * 0.1
gamma_1 = rng.standard_normal((1, hidden_size)) * 0.1 + 1.0
beta_1 = rng.standard_normal((1, hidden_size)) * 0.1

# layer 2
W_2 = rng.standard_normal((hidden_size, hidden_size)) * (2 / hidden_size) ** 0.5
b_2 = rng.standard_normal(hidden_size) * 0.1
gamma_2 = rng.standard_normal((1, hidden_size)) * 0.1 + 1.0
beta_2 = rng.standard_normal((1, hidden_size)) * 0.1

# output layer
W_3 = rng.standard_normal((hidden_size, vocab_size)) * 0.02
b_3 = rng.standard_normal(vocab_size) * 0.1

parameters = [C, W_1, b_1, gamma_1, beta_1, W_2, b_2, gamma_2, beta_2, W_3, b_3]
print(sum(p.size for p in parameters), "parameters")

# %%
max_steps = 200_000
batch_size = 32
n = batch_size
learning_rate = 0.0005
losses = []

for step in range(max_steps):
    # minibatch
    batch = rng.integers(0, X_train.shape[0], batch_size)
    X_batch, Y_batch = X_train[batch], Y_train[batch]

    # forward: embedding
    emb = C[X_batch]
    emb_flat = emb.reshape(emb.shape[0], -1)
    # forward: layer 1
    pre_batch_norm_1 = emb_flat @ W_1 + b_1
    mean_1 = 1 / n * pre_batch_norm_1.sum(axis=0, keepdims=True)
    centred_1 = pre_batch_norm_1 - mean_1
    var_1 = 1 / (n - 1) * (centred_1**2).sum(axis=0, keepdims=True)
    var_inv_1 = (var_1 + 1e-5) ** -0.5
    norm_1 = centred_1 * var_inv_1
    Z_1 = gamma_1 * norm_1 + beta_1
    A_1 = np.maximum(0.01 * Z_1, Z_1)
    # forward: layer 2
    pre_batch_norm_2 = A_1 @ W_2 + b_2
    mean_2 = 1 / n * pre_batch_norm_2.sum(axis=0, keepdims=True)
    centred_2 = pre_batch_norm_2 - mean_2
    var_2 = 1 / (n - 1) * (centred_2**2).sum(axis=0, keepdims=True)
    var_inv_2 = (var_2 + 1e-5) ** 0.5
    norm_2 = centred_2 * var_inv_2
    Z_2 = gamma_2 * norm_2 + beta_2
    A_2 = np.maximum(0.01 * Z_2, Z_2)
    # forward: output layer
    logits = A_2 @ W_3 + b_3
    counts = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs = counts / counts.sum(axis=1, keepdims=True)
    loss = -np.log(probs[np.arange(n), Y_batch]).mean()

    # backward: output layer
    d_logits = probs.copy()
    d_logits[np.arange(n), Y_batch] -= 1
    d_logits /= n
    d_A_2 = d_logits @ W_3.T
    d_W_3 = A_2.T @ d_logits
    d_b_3 = d_logits.sum(axis=0)
    # backward: layer 2
    d_Z_2 = np.where(Z_2 > 0, d_A_2, 0.01 * d_A_2)
    d_gamma_2 = (norm_2 * d_Z_2).sum(axis=0, keepdims=True)
    d_beta_2 = d_Z_2.sum(axis=0, keepdims=True)
    d_pre_batch_norm_2 = (gamma_2 * var_inv_2 / n) * (
        n * d_Z_2 - d_Z_2.sum(axis=0) - n / (n - 1) * norm_2 * (d_Z_2 * norm_2).sum(axis=0)
    )
    d_A_1 = d_Z_2 @ W_2.T
    d_W_2 = A_1.T @ d_Z_2
    d_b_2 = d_Z_2.sum(axis=0)
    # backward: layer 1
    d_Z_1 = np.where(Z_1 > 0, d_A_1, 0.01 * d_A_1)
    d_gamma_1 = (norm_1 * d_Z_1).sum(axis=0, keepdims=True)
    d_beta_1 = d_Z_1.sum(axis=0, keepdims=True)
    d_pre_batch_norm_1 = (gamma_1 * var_inv_1 / n) * (
        n * d_Z_1 - d_Z_1.sum(axis=0) - n / (n - 1) * norm_1 * (d_Z_1 * norm_1).sum(axis=0)
    )
    d_emb_flat = d_pre_batch_norm_1 @ W_1.T
    d_W_1 = emb_flat.T @ d_pre_batch_norm_1
    d_b_1 = d_pre_batch_norm_1.sum(axis=0)
    # backward: embedding
    d_emb = d_emb_flat.reshape(emb.shape)
    d_C = np.zeros_like(C)
    np.add.at(d_C, X_batch, d_emb)

    # update
    grads = [d_C, d_W_1, d_b_1, d_gamma_1, d_beta_1]
    grads += [d_W_2, d_b_2, d_gamma_2, d_beta_2, d_W_3, d_b_3]
    for p, grad in zip(parameters, grads, strict=True):
        p -= learning_rate * grad

    losses.append(loss)
    if step % 10_000 == 0:
        print(f"{step:7d}/{max_steps:7d}: {loss:.4f}")

# %%
# calibrate
emb_flat = C[X_train].reshape(-1, input_size)
pre_batch_norm_1 = emb_flat @ W_1 + b_1
calibrated_mean_1 = pre_batch_norm_1.mean(axis=0, keepdims=True)
calibrated_var_1 = pre_batch_norm_1.var(axis=0, keepdims=True, ddof=1)
A_1 = np.maximum(0.01 * pre_batch_norm_1, pre_batch_norm_1)
pre_batch_norm_2 = A_1 @ W_2 + b_2
calibrated_mean_2 = pre_batch_norm_2.mean(axis=0, keepdims=True)
calibrated_var_2 = pre_batch_norm_2.var(axis=0, keepdims=True, ddof=1)


# %%
# evaluate
def split_loss(split):
    X, Y = {"train": (X_train, Y_train), "val": (X_val, Y_val), "test": (X_test, Y_test)}[split]
    emb_flat = C[X].reshape(-1, input_size)
    pre_batch_norm_1 = emb_flat @ W_1 + b_1
    norm_1 = (pre_batch_norm_1 - calibrated_mean_1) * (calibrated_var_1 + 1e-5) ** -0.5
    Z_1 = gamma_1 * norm_1 + beta_1
    A_1 = np.maximum(0.01 * Z_1, Z_1)
    pre_batch_norm_2 = A_1 @ W_2 + b_2
    norm_2 = (pre_batch_norm_2 - calibrated_mean_2) * (calibrated_var_2 + 1e-5) ** 0.5
    Z_2 = gamma_2 * norm_2 + beta_2
    A_2 = np.maximum(0.01 * Z_2, Z_2)
    logits = A_2 @ W_3 + b_3
    counts = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs = counts / counts.sum(axis=1, keepdims=True)
    print(f"{split:5s} {-np.log(probs[np.arange(len(Y)), Y]).mean():.4f}")


split_loss("train")
split_loss("val")

# %%
# sample 20 names
for _ in range(20):
    sampled = []
    context = [0] * context_size
    while True:
        emb_flat = C[np.array([context])].reshape(1, -1)
        pre_batch_norm_1 = emb_flat @ W_1 + b_1
        norm_1 = (pre_batch_norm_1 - calibrated_mean_1) * (calibrated_var_1 + 1e-5) ** -0.5
        Z_1 = gamma_1 * norm_1 + beta_1
        A_1 = np.maximum(0.01 * Z_1, Z_1)
        pre_batch_norm_2 = A_1 @ W_2 + b_2
        norm_2 = (pre_batch_norm_2 - calibrated_mean_2) * (calibrated_var_2 + 1e-5) ** 0.5
        Z_2 = gamma_2 * norm_2 + beta_2
        A_2 = np.maximum(0.01 * Z_2, Z_2)
        logits = A_2 @ W_3 + b_3
        counts = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs = counts / counts.sum(axis=1, keepdims=True)
        index = int(rng.choice(vocab_size, p=probs[0]))
        context = context[1:] + [index]
        sampled.append(index_to_char[index])
        if index == 0:
            break
    print("".join(sampled))
