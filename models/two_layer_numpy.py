# %% [markdown]
# # Two layers in NumPy, backward pass by hand
#
# The network of `two_layer.py`, with arrays in the place of tensors:
#
# `embedding -> Linear -> BatchNorm -> tanh -> Linear -> cross-entropy`
#
# Every step of the forward pass has a line of its own, so that every step of the backward pass can have
# one too. All gradients are right.

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
rng = np.random.default_rng(1970)


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
X_train, Y_train = build_dataset(names[:train_end])
X_val, Y_val = build_dataset(names[train_end:])
print(X_train.shape, X_val.shape)

# %%
embedding_size = 10
hidden_size = 200
input_size = context_size * embedding_size

C = rng.standard_normal((vocab_size, embedding_size))

# layer 1: the gain 5/3 makes up for the squashing of tanh
W_1 = rng.standard_normal((input_size, hidden_size)) * (5 / 3) / input_size**0.5
b_1 = rng.standard_normal(hidden_size) * 0.1  # BatchNorm cancels it; for practice

# BatchNorm 1: not exactly 1 and 0, because such round numbers can hide a wrong gradient
gamma_1 = rng.standard_normal((1, hidden_size)) * 0.1 + 1.0
beta_1 = rng.standard_normal((1, hidden_size)) * 0.1

# output layer: small, so that the first predictions are close to uniform
W_2 = rng.standard_normal((hidden_size, vocab_size)) * 0.02
b_2 = rng.standard_normal(vocab_size) * 0.1

parameters = [C, W_1, b_1, gamma_1, beta_1, W_2, b_2]
print(sum(p.size for p in parameters), "parameters")

# %%
max_steps = 200_000
batch_size = 32
n = batch_size  # short, because the formulas are full of it
losses = []

for step in range(max_steps):
    # minibatch
    batch = rng.integers(0, X_train.shape[0], batch_size)
    X_batch, Y_batch = X_train[batch], Y_train[batch]

    # forward: embedding and layer 1
    emb = C[X_batch]
    emb_flat = emb.reshape(n, input_size)
    pre_batch_norm_1 = emb_flat @ W_1 + b_1
    # forward: BatchNorm 1, with Bessel's correction (n - 1) in the variance
    mean_1 = pre_batch_norm_1.sum(axis=0, keepdims=True) / n
    centred_1 = pre_batch_norm_1 - mean_1
    centred_squared_1 = centred_1**2
    var_1 = centred_squared_1.sum(axis=0, keepdims=True) / (n - 1)
    var_inv_1 = (var_1 + 1e-5) ** -0.5
    norm_1 = centred_1 * var_inv_1
    Z_1 = gamma_1 * norm_1 + beta_1
    # forward: activation and output layer
    A_1 = np.tanh(Z_1)
    logits = A_1 @ W_2 + b_2
    # forward: softmax and cross-entropy; the maximum only keeps exp() from overflowing
    shifted_logits = logits - logits.max(axis=1, keepdims=True)
    counts = np.exp(shifted_logits)
    counts_sum = counts.sum(axis=1, keepdims=True)
    counts_sum_inv = counts_sum**-1
    probs = counts * counts_sum_inv
    log_probs = np.log(probs)
    loss = -log_probs[np.arange(n), Y_batch].mean()

    # backward: cross-entropy and softmax
    d_log_probs = np.zeros_like(log_probs)
    d_log_probs[np.arange(n), Y_batch] = -1.0 / n
    d_probs = d_log_probs / probs
    d_counts_sum_inv = (d_probs * counts).sum(axis=1, keepdims=True)
    d_counts_sum = -(counts_sum**-2) * d_counts_sum_inv
    d_counts = d_probs * counts_sum_inv + d_counts_sum  # used twice, so two terms
    d_shifted_logits = d_counts * counts
    # softmax does not change when a row is shifted: nothing flows through the maximum
    d_logits = d_shifted_logits.copy()
    # backward: output layer and activation
    d_A_1 = d_logits @ W_2.T
    d_W_2 = A_1.T @ d_logits
    d_b_2 = d_logits.sum(axis=0)
    d_Z_1 = d_A_1 * (1 - A_1**2)
    # backward: BatchNorm 1
    d_gamma_1 = (d_Z_1 * norm_1).sum(axis=0, keepdims=True)
    d_beta_1 = d_Z_1.sum(axis=0, keepdims=True)
    d_norm_1 = d_Z_1 * gamma_1
    d_var_inv_1 = (d_norm_1 * centred_1).sum(axis=0, keepdims=True)
    d_var_1 = -0.5 * (var_1 + 1e-5) ** -1.5 * d_var_inv_1
    d_centred_squared_1 = np.ones_like(centred_squared_1) / (n - 1) * d_var_1
    d_centred_1 = d_norm_1 * var_inv_1
    d_centred_1 += 2 * centred_1 * d_centred_squared_1  # the way through the variance
    d_mean_1 = -d_centred_1.sum(axis=0, keepdims=True)
    d_pre_batch_norm_1 = d_centred_1 + d_mean_1 / n
    # backward: layer 1 and embedding
    d_emb_flat = d_pre_batch_norm_1 @ W_1.T
    d_W_1 = emb_flat.T @ d_pre_batch_norm_1
    d_b_1 = d_pre_batch_norm_1.sum(axis=0)
    d_emb = d_emb_flat.reshape(emb.shape)
    # a character that stands several times in the batch has a gradient from each place
    d_C = np.zeros_like(C)
    np.add.at(d_C, X_batch, d_emb)

    # update
    grads = [d_C, d_W_1, d_b_1, d_gamma_1, d_beta_1, d_W_2, d_b_2]
    learning_rate = 0.1 if step < 100_000 else 0.01
    for p, grad in zip(parameters, grads, strict=True):
        p -= learning_rate * grad

    losses.append(loss)
    if step % 10_000 == 0:
        print(f"{step:7d}/{max_steps:7d}: {loss:.4f}")

# %%
# calibrate the BatchNorm: its statistics over the whole training set, for single examples later
pre_batch_norm_1 = C[X_train].reshape(-1, input_size) @ W_1 + b_1
calibrated_mean_1 = pre_batch_norm_1.mean(axis=0, keepdims=True)
calibrated_var_1 = pre_batch_norm_1.var(axis=0, keepdims=True, ddof=1)


# %%
# evaluate: the same network, with the calibrated statistics
def predict(X):
    pre_batch_norm_1 = C[X].reshape(-1, input_size) @ W_1 + b_1
    norm_1 = (pre_batch_norm_1 - calibrated_mean_1) * (calibrated_var_1 + 1e-5) ** -0.5
    A_1 = np.tanh(gamma_1 * norm_1 + beta_1)
    logits = A_1 @ W_2 + b_2
    counts = np.exp(logits - logits.max(axis=1, keepdims=True))
    return counts / counts.sum(axis=1, keepdims=True)


for split, X, Y in (("train", X_train, Y_train), ("val", X_val, Y_val)):
    print(f"{split:5s} {-np.log(predict(X)[np.arange(len(Y)), Y]).mean():.4f}")

# %%
# sample 20 names
for _ in range(20):
    sampled = []
    context = [0] * context_size
    while True:
        index = int(rng.choice(vocab_size, p=predict(np.array([context]))[0]))
        context = context[1:] + [index]
        sampled.append(index_to_char[index])
        if index == 0:
            break
    print("".join(sampled))
