"""Layers with a hand-written backward pass, on plain tensors: nothing here asks autograd for anything."""

from models.layers.activations import LeakyReLU, Tanh
from models.layers.batch_norm import BatchNorm1d
from models.layers.dropout import Dropout
from models.layers.embedding import Embedding
from models.layers.layer import Layer, Parametric
from models.layers.linear import Linear, LinearWithoutBias

__all__ = [
    "BatchNorm1d",
    "Dropout",
    "Embedding",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LinearWithoutBias",
    "Parametric",
    "Tanh",
]
