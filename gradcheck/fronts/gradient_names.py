"""The grammar of gradient names: what a name such as `dW1`, `self.grad_x` or `grads['b2']` says it belongs to.

A name is evidence, never proof. The forms are those people use: prefix and suffix forms of d, grad, delta, g;
`dL_dX`; attributes `.grad` and `.g`; items of containers named for gradients.
"""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import IntEnum
from functools import lru_cache
from pathlib import Path


class Form(IntEnum):
    """How strongly the form alone says "this is a gradient"."""

    NONE = 0
    BARE_D = 1  # dX: could be a distance or data
    GENERIC = 2  # delta, error, dout: a gradient of something not named
    EXPLICIT = 3  # d_X, grad_X, X_grad, dL_dX, grads['X'], X.grad


@dataclass(frozen=True, slots=True)
class GradientName:
    form: Form
    stem: str | None  # what it is the gradient of, as far as the name says
    owner: str = ""  # the object it is an attribute of: `self` in self.dW


_WORDS = r"(?:grads?|gradient(?:es?|i|s)?|nabla|delta|derivative|deriv|diff|partial|bar|adjoint|cotangent)"
_CONTAINER = re.compile(
    rf"^_*(?:(?-i:d)|{_WORDS}|d_?params?|d_?weights|d_?cache)s?$|(?:^|_){_WORDS}s?(?:_|$)", re.I
)
_DL_D = re.compile(
    r"^_*d_?(?:L|l|J|j|E|e|C|c|loss|cost|Loss|Cost|err|error|o|out|z|Z)_?(?:_?d_?|wrt_?|_)(?P<stem>[A-Za-z].*)$"
)
_PREFIX = re.compile(rf"^_*(?:{_WORDS}|g|d|del|D|err|error)_(?P<stem>\w+)$", re.I)
# (`J_D` and `loss_g` are losses, of a discriminator and a generator.)
_SUFFIX = re.compile(rf"^(?!(?:[JL]|\w*loss)_[gd]$)(?P<stem>\w+?)_(?:(?:{_WORDS}|err|error)s?|[gd])$", re.I)
# `loss_grad_weight`, `grad_wrt_weights`, `gradwrtinput`: the loss, or "with respect to", stands between.
_OF_LOSS = re.compile(
    r"^_*(?:(?:loss|cost|error|err|l)_(?:grads?|gradients?|deriv|derivative)|(?:grads?|gradients?|deriv|d)_?wrt)"
    r"(?:_?wrt)?_?(?P<stem>[A-Za-z]\w*)$",
    re.I,
)
# What is passed on from layer to layer, of whichever of them it is.
_PASSED_ON = re.compile(r"^_*grads?_?wrt_?(?:out|in)(?:put)?s?$", re.I)
_CAMEL = re.compile(r"^(?:grad|delta|gradient|Grad|Delta)(?P<stem>[A-Z0-9]\w*)$")
_CAMEL_SUFFIX = re.compile(r"^(?P<stem>\w*?[a-zA-Z0-9])(?:Grad|Delta|Gradient|_?[gG]rads?)$")
# `v_quat`: the vector of a vector-Jacobian product, or the velocity of an optimiser: it does not say what of.
_VECTOR = re.compile(r"^_*v_[A-Za-z]\w*$")
_GENERIC = re.compile(
    r"^_*(?:d_?out(?:put)?s?|grad_?out(?:put)?s?|grad_?in(?:put)?s?|upstream(?:_?grad(?:ient)?)?|next_d\w*|delta|deltas|"
    r"errors?|err|grads?|gradient(?:es?|i|s)?|dy|dx|dz|da|dh|dnext|d_?next|g|back(?:ward)?_?grad\w*|"
    r"d_?prev|downstream\w*|cotangent|seed)[_']?\d*$",
    re.I,
)
_BARE_D = re.compile(r"^_*[dD](?P<stem>[A-Za-z0-9_]\w*)$")
# `gW1`, `gh`, `gpre`: with a longer stem it is more often a word (`gamma`, `gating`).
_BARE_G = re.compile(r"^_*g(?P<stem>[A-Z]\w*|[a-z]{1,3}\d*)$")
# Words that begin so and have nothing to do with gradients.
_WORDS_WITH_D = {*Path(__file__).with_name("words_with_d.txt").read_text(encoding="utf-8").split()}
_PATH_END = re.compile(r"^(?P<base>.*?)(?:\.(?P<attribute>\w+)|\[(?P<key>'[^']*'|\"[^\"]*\"|[^\]]*)\])$")


def may_be_velocity(name: str) -> bool:
    """Whether it may as well name what an optimiser keeps: `v_W`, `v_hat`."""
    return bool(_VECTOR.match(split_path(name)[1]))


def is_delta(name: str) -> bool:
    """Whether it is a `delta`: in books, that of a layer is the gradient of what comes before its activation."""
    return "delta" in split_path(name)[1].lower()


_PARTIAL = re.compile(r"^_*d(?P<own>_?)(?P<of>[A-Za-z]\w*?)_d(?P=own)(?P<by>[A-Za-z]\w*)$")


def partial_derivative(name: str) -> tuple[str, str] | None:
    """(`h1`, `w5`) for `dh1_dw5`, where the names of values stand before and behind: the derivative of the one by the other,
    unless the first is a loss."""
    match = _PARTIAL.match(split_path(name)[1])
    return (match["of"], match["by"]) if match and not is_loss_name(match["of"]) else None


def same_name(one: str, other: str) -> bool:
    """Whether they differ in capitals and underscores at most: `y_pred`, `ypred`."""
    return _squash(one) == _squash(other)


def split_path(name: str) -> tuple[str, str, bool]:
    """(`self.grads`, `W1`, True) for `self.grads['W1']`: base, last part, whether the last part is an item."""
    match = _PATH_END.match(name)
    if match is None:
        return "", name, False
    if match["attribute"] is not None:
        return match["base"], match["attribute"], False
    return match["base"], match["key"].strip("'\""), True


@lru_cache(maxsize=4096)
def parse(name: str) -> GradientName:
    base, last, is_item = split_path(name)
    if last == "data" and base and not is_item:
        return parse(base)
    if last == "g" and base == "self":  # the gain or the gate of a layer: `w.g` is set on tensors
        return GradientName(Form.NONE, None, base)
    if last in ("grad", "g", "gradient") and base and not is_item:
        return GradientName(Form.EXPLICIT, base, split_path(base)[0])
    if is_item:
        return _parse_item(name, base, last)
    found = _parse_identifier(last)
    return GradientName(found.form, found.stem, base)


def _parse_item(name: str, base: str, last: str) -> GradientName:
    """`grads['W1']`, `dW[i]`, `cache["dh"]`."""
    container = split_path(base)[1]
    held = _parse_identifier(container)
    speaks = bool(_CONTAINER.search(container)) or held.form is Form.EXPLICIT
    if not name.endswith(("']", '"]')):
        if held.stem is not None:
            return GradientName(held.form, f"{held.stem}[{last}]", base)
        return GradientName(Form.EXPLICIT if speaks else held.form, None, base)
    inner = _parse_identifier(last)
    if inner.form is not Form.NONE and inner.stem is not None:
        return GradientName(Form.EXPLICIT if speaks else inner.form, inner.stem, base)
    return GradientName(Form.EXPLICIT, last, base) if speaks else inner


def _parse_identifier(name: str) -> GradientName:
    if _PASSED_ON.match(name) or _VECTOR.match(name):
        return GradientName(Form.GENERIC, None)
    for pattern in (_DL_D, _OF_LOSS, _CAMEL, _PREFIX, _SUFFIX, _CAMEL_SUFFIX):
        match = pattern.match(name)
        if match and match["stem"].strip("_"):
            generic = _GENERIC.match(name)
            return GradientName(
                Form.GENERIC if generic and pattern is not _PREFIX else Form.EXPLICIT, match["stem"]
            )
    bare = _BARE_D.match(name)
    word = name.lower()
    is_word = not _WORDS_WITH_D.isdisjoint((word, word.removesuffix("s")))
    if is_word or re.search(r"num(?:eric|erical|_|$)|approx|finite", name, re.I):
        return GradientName(Form.NONE, None)
    if len(name) > 1 and name[0] == "d" and name[1].isupper() and bare:
        return GradientName(Form.BARE_D, bare["stem"])
    if _GENERIC.match(name):
        return GradientName(Form.GENERIC, bare["stem"] if bare else None)
    bare = bare or _BARE_G.match(name)
    if bare:
        return GradientName(Form.BARE_D, bare["stem"])
    return GradientName(Form.NONE, None)


@lru_cache(maxsize=4096)
def _squash(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@lru_cache(maxsize=4096)
def _without_index(name: str) -> str:
    return re.sub(r"\d+$", "", name)


@lru_cache(maxsize=65536)
def _letters(name: str) -> tuple[set[str], set[str], set[str]]:
    """The letters by which it is compared: exactly these, those without the index, and both."""
    base, last, is_item = split_path(name)
    words = {*map(_squash, (name, last, base if is_item else name))}
    exact, loose = words | {word.rstrip("s") for word in words}, {*map(_without_index, words)}
    return exact, loose, exact | loose


def may_fit(stem: str, forward_name: str) -> bool:
    """Whether `name_affinity` may be 0.6 or more: asked first, since in a deep network most pairs share no letters."""
    (exact, loose, _), (others, _, all_others) = _letters(stem), _letters(forward_name)
    return not (exact.isdisjoint(all_others) and loose.isdisjoint(others))


@lru_cache(maxsize=65536)
def name_affinity(stem: str, forward_name: str) -> float:
    """How well a gradient's stem fits a forward name: 1 the same, 0 not at all."""
    _, last, is_item = split_path(forward_name)
    candidates = [_squash(forward_name)]
    if not (is_item and last.lstrip("-").isdigit()):
        candidates.append(_squash(last))
    elif is_item and f"{stem}s" == split_path(forward_name)[0]:
        return 0.85  # `hs[3]` is an `h`
    base, stem_last, stem_is_item = split_path(stem)
    own = {_squash(stem)}
    if base and not (stem_is_item and not stem.endswith(("']", '"]'))):
        own.add(_squash(stem_last))
    other_index = 0.0
    if base and stem_is_item and is_item and not stem.endswith(("']", '"]')):
        same_container = max(_affinity(_squash(base), _squash(split_path(forward_name)[0])), 0.0)
        if stem_last.isdigit() and last.isdigit():
            # dW[1] is that of W[1], unless the lists count differently: then the numbers have to say so.
            other_index = 0.75 * same_container
        else:
            # dW[i] and W[2]: which index it was is for the numbers to say.
            other_index = same_container
    best = other_index
    for left in own:
        for right in candidates:
            best = max(best, _affinity(left, right))
    return best


def _affinity(left: str, right: str) -> float:
    if not left or not right:
        return 0.0
    if left == right:
        return 1.0
    if _without_index(left) == _without_index(right) and _without_index(left):
        # Two different indices (b1 and b2) name two different things; a dropped one is a slip.
        return 0.7 if left == _without_index(left) or right == _without_index(right) else 0.0
    if left.rstrip("s") == right.rstrip("s") or f"{left}es" == right or f"{right}es" == left:
        return 0.85
    if min(len(left), len(right)) < 3:
        return 0.0
    if re.findall(r"\d+", left) != re.findall(r"\d+", right):
        return 0.0
    ratio = SequenceMatcher(None, left, right).ratio()
    return 0.6 * ratio if ratio > 0.8 else 0.0


_LOSS = re.compile(
    r"^_*(?:\w*_)?(?:loss(?:es|i)?|cost|nll|objective|mse|bce|criterion|cross_?entropy|ce|risk)(?:_\w+|\d*)$|^(?:\w*Loss|[JL](?:_[A-Za-z]+)?|E|loss\w*|\w*loss)$"
)


_DERIVATIVE = re.compile(r"backward|prime|grad|deriv|delta", re.I)


def is_loss_name(name: str, *, no_gradient: bool = False) -> bool:
    """`d_loss` is one, of a discriminator, where it is known that it is `no_gradient`."""
    return bool(_LOSS.match(split_path(name)[1])) and (no_gradient or parse(name).form is not Form.EXPLICIT)


def is_derivative_name(function: str) -> bool:
    """Whether a function is named for a derivative that it computes: `mse_prime`, `Loss.backward`, `dloss_delta`."""
    return _DERIVATIVE.search(function) is not None
