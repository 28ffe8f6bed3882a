"""Which kind a torch function is: decided from its name, once per function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gradcheck.fronts.tape import Kind, function_name

_PROPERTIES_RECORDED = {"T", "mT", "H", "mH", "data", "real", "imag"}

_RANDOM = {
    "rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "poisson", "binomial",
    "rand_like", "randn_like", "randint_like", "_sample_dirichlet", "_standard_gamma", "gumbel_softmax",
}  # fmt: skip
_RANDOM_MUTATE = {
    "normal_", "uniform_", "bernoulli_", "random_", "exponential_", "geometric_", "cauchy_", "log_normal_",
    "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "trunc_normal_", "orthogonal_",
    "sparse_",
}  # fmt: skip
_DROPOUT = {
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "dropout_",
    "native_dropout",
}  # fmt: skip
_ESCAPE = {
    "item", "tolist", "numpy", "__float__", "__int__", "__bool__", "__index__", "__array__", "__complex__",
    "__contains__", "equal", "allclose", "is_nonzero",
}  # fmt: skip
_IGNORE = {
    "size", "dim", "numel", "nelement", "ndimension", "stride", "storage_offset", "element_size", "__len__",
    "__hash__", "__repr__", "__str__", "__format__", "get_device", "data_ptr", "untyped_storage", "storage",
    "register_hook", "retain_grad", "_is_view", "_set_grad_enabled", "get_default_dtype", "manual_seed",
    "is_tensor", "result_type", "can_cast", "promote_types", "__dir__", "__deepcopy__", "__reduce_ex__",
    "_record_function_enter_new", "_record_function_exit._RecordFunction", "set_default_dtype",
    "__array_wrap__", "set_default_device", "typename", "has_names", "__setstate__", "share_memory_", "pin_memory",
}  # fmt: skip
_CREATE = {"tensor", "as_tensor", "asarray", "from_numpy", "from_dlpack", "frombuffer"}
_BACKWARD = {"backward", "_backward"}
_DUNDER_MUTATE = {
    "__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__ifloordiv__", "__ipow__", "__imod__",
    "__iand__", "__ior__", "__ixor__", "__imatmul__", "__idiv__",
}  # fmt: skip

# Results of these share storage with their first argument although torch does not call them views.
_SHARES_STORAGE = {"data", "detach", "as_tensor", "asarray", "view_as", "requires_grad_", "contiguous"}

known_kinds: dict[Any, Kind] = {}
_shares: dict[Any, bool] = {}


def kind_of(func: Callable[..., Any]) -> Kind:
    """The kind of `func`, from its name alone (`inplace=` and `out=` arguments are for the caller to see)."""
    kind = known_kinds.get(func)
    if kind is None:
        kind = known_kinds[func] = _classify(func)
    return kind


def shares_storage(func: Callable[..., Any]) -> bool:
    """Whether the result shares storage with the first argument, although torch does not call it a view."""
    known = _shares.get(func)
    if known is None:
        known = _shares[func] = function_name(func) in _SHARES_STORAGE
    return known


def _classify(func: Callable[..., Any]) -> Kind:
    raw = getattr(func, "__name__", "")
    name = function_name(func)
    if raw == "__get__":
        if name == "grad":
            return Kind.GRAD_READ
        return Kind.PURE if name in _PROPERTIES_RECORDED else Kind.IGNORE
    if raw == "__set__":
        return {"grad": Kind.GRAD_WRITE, "data": Kind.DATA_WRITE}.get(name, Kind.IGNORE)
    if name in _BACKWARD or func is torch.autograd.grad:
        return Kind.BACKWARD
    if name in _CREATE:
        return Kind.CREATE
    if name in _DROPOUT:
        return Kind.DROPOUT
    if name in _RANDOM:
        return Kind.RANDOM
    if name in _RANDOM_MUTATE:
        return Kind.RANDOM_MUTATE
    if name in _ESCAPE:
        return Kind.ESCAPE
    if name in _IGNORE or name.startswith(("is_", "_is_")) or not name:
        return Kind.IGNORE
    if name in _DUNDER_MUTATE or (
        name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
    ):
        return Kind.MUTATE
    return Kind.PURE
