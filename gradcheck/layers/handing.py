"""What `backward` is called with: an upstream gradient for each output, what `forward` kept for it, the inputs again.

Its parameters say it by their names: one named for a gradient is an upstream gradient, one named as a parameter of
`forward` is that input, and what is left is what `forward` returned beside its outputs: the cache.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gradcheck.fronts.gradient_names import Form, is_loss_name, parse
from gradcheck.layers.arrays import is_floating, no_gradient
from gradcheck.layers.function_context import FunctionContext
from gradcheck.layers.predicted import is_no_gradient, predicted
from gradcheck.layers.usage import nodes_of
from gradcheck.layers.wanted import rate_named, role_of
from gradcheck.program.live import parameters_taken
from gradcheck.program.reading.tree import parts_of

_INPUT = re.compile(r"(.*_)?inputs?")


class Unclear(Exception):  # noqa: N818 - its text is shown to the person
    """It cannot be told what `backward` is to be given; the text says what of it."""


@dataclass(slots=True)
class Call:
    outputs: list[Any]  # tensors, or arrays of NumPy's
    losses: list[Any] = field(default_factory=list)  # beside them, whose gradients `forward` has computed
    is_loss: bool = False  # `backward` takes nothing
    together: bool = False  # the upstream gradients in one tuple
    by_place: bool = False  # what `backward` returns belongs to the inputs in their order
    order: list[str] = field(default_factory=list)  # of the parameters that are handed something
    values: dict[str, Any] = field(default_factory=dict)  # of those that are no upstream gradient
    targets: list[str] = field(default_factory=list)  # what it compares the output with itself

    def arguments(self, upstream: list[Any]) -> list[Any]:
        left: Iterator[Any] = iter([tuple(upstream)] if self.together else upstream)
        found = [self.values[name] if name in self.values else next(left) for name in self.order]
        return [*found, *left]


def call_of(
    backward: Callable[..., Any], forward: Callable[..., Any], given: dict[str, Any], result: Any
) -> Call:
    """Raises Unclear."""
    items = list(result) if isinstance(result, (tuple, list)) else [result]
    floats = [item for item in items if is_floating(item)]
    leading = next((n for n, item in enumerate(items) if not _is_in(item, floats)), len(items))
    parameters = parameters_taken(backward)
    if parameters is None:
        return Call(floats[:leading])
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = [p.name for p in positional if p.default is p.empty]
    if not names:
        takes = any(_reads(backward, p.name) for p in positional)
        takes = takes or any(p.kind is p.VAR_POSITIONAL for p in parameters)
        return Call(items[:leading], is_loss=not takes)
    context = getattr(backward, "__self__", None)
    if isinstance(context, FunctionContext):  # as autograd calls it: one for each output
        outputs = [item for item in floats if not _is_in(item, context.not_differentiable)]
        nothing = {
            name: no_gradient(item)
            for name, item in zip(names, items, strict=False)
            if not _is_in(item, outputs)
        }
        return Call(outputs, by_place=True, order=names[: len(items)], values=nothing)
    again = {name: given[known] for name in names for known in given if known.lower() == name.lower()}
    if len(given) == 1:
        again |= {name: input_ for input_ in given.values() for name in names if _INPUT.fullmatch(name)}
    kept_again = _returned_names(forward)  # `p`, which `forward` returns beside its output
    left = [name for name in names if name not in again]
    others = [name for name in left if name not in kept_again]
    if others and all(_is_compared(backward, name) for name in others):
        returned = zip(kept_again, items, strict=False)
        known = again | {name: item for name, item in returned if name in left}
        return Call(items[:leading], is_loss=True, order=names, values=known, targets=others)
    is_compared_again = len(again) == len(names) and role_of(names[0]) == "target"
    if len(names) == 1 and len(positional) == 1 and not is_compared_again:
        if again and parse(names[0]).form is Form.NONE and not _reads_what_was_kept(backward):
            raise Unclear(
                f"`{names[0]}` is what `forward` is given too, and nothing else is read: it may compute a derivative alone"
            )
        together = leading > 1 and (isinstance(result, list) or _takes_apart(backward, names[0]))
        return Call(items[: leading if together else 1] if leading else [], together=together, order=names)
    if len(again) == len(names):  # `backward(target, predicted)`
        return Call(items[:leading], is_loss=True, order=names, values=again)
    upstream = [name for name in names if parse(name).form is not Form.NONE and name not in again]
    if not upstream:
        # Only what it reads: `backward(x, cache)` may call that `x`, as `forward` does its input.
        read = [name for name in [*others, *left, *names] if _reads(backward, name)]
        upstream = (read or names)[:1]
        again.pop(upstream[0], None)
    # A gradient that `backward` need not be given belongs to an output all the same.
    more = [p.name for p in positional if p.name not in names and parse(p.name).form is not Form.NONE]
    upstream += more[: max(leading - len(upstream), 0)]
    if len(upstream) == 1 and {*map(role_of, again)} == {"target"}:
        again_too = predicted(context, given) if is_no_gradient(backward, upstream[0]) else None
        if again_too is None:
            raise Unclear(
                f"it is unclear whether `{upstream[0]}` is the upstream gradient or the prediction again"
            )
        return Call(items[:leading], is_loss=True, order=names, values=again | {upstream[0]: again_too})
    together = isinstance(result, list) and leading == len(items) > 1 and len(upstream) == 1  # a list of maps
    outputs = items[: leading if together else min(leading, len(upstream))]
    called = dict(zip(_returned_names(forward), items, strict=False))
    beside = items[len(outputs) : leading]
    losses = [item for name, item in called.items() if is_loss_name(name) and _is_in(item, beside)]
    if len(outputs) < len(upstream) and not together:
        raise Unclear(f"what it should be given for `{upstream[len(outputs)]}` cannot be told")
    again |= {name: None for name in names if name not in upstream and not _reads(backward, name)}
    kept = [name for name in names if name not in again and name not in upstream]
    rest = [item for item in items[len(outputs) :] if not _is_in(item, losses)]
    if len(rest) < len(kept):  # nothing was kept for one of them: a rate
        again |= {name: rate for name in kept if (rate := rate_named(name)) is not None}
        kept = [name for name in kept if name not in again]
    # A stride that `forward` was given is that of `backward` too.
    options = [p for p in positional if p.name not in (*names, *upstream)]
    again |= {p.name: given.get(p.name, p.default) for p in options}
    values = again | _kept(kept, rest, items, forward)
    for name in upstream:
        of = values.get(parse(name).stem or "")
        if is_floating(of) and _is_in(of, rest):
            raise Unclear(f"it is unclear of which output `{name}` is the gradient")
    order = [p.name for p in positional if p.name in values or p.name in upstream]
    return Call(outputs, losses, together=together, order=order, values=values)


def _kept(names: list[str], rest: list[Any], items: list[Any], forward: Callable[..., Any]) -> dict[str, Any]:
    """By the names that `forward` gives them; the others in order."""
    returned = _returned_names(forward)
    known = dict(zip(returned, items, strict=False)) if len(returned) == len(items) else {}
    found = {name: known[name] for name in names if name in known}
    left = [name for name in names if name not in found]
    rest = [item for item in rest if not found or not _is_in(item, found.values())]
    if left and rest and all(item is None for item in rest):
        raise Unclear("`forward` kept nothing for it here")
    found |= zip(left, [tuple(rest)] if len(left) == 1 and len(rest) > 1 else rest, strict=False)
    for name in names:
        if name not in found:
            raise Unclear(f"what it should be given for `{name}` cannot be told: `forward` returns no cache")
    return found


def _is_in(item: Any, among: Iterable[Any]) -> bool:
    return any(item is other for other in among)


def _returned_names(forward: Callable[..., Any]) -> list[str]:
    for node in nodes_of(forward):
        if isinstance(node, ast.Return) and node.value is not None:
            return [part.id if isinstance(part, ast.Name) else "" for part in parts_of(node.value)]
    return []


def _takes_apart(backward: Callable[..., Any], name: str) -> bool:
    """Whether it takes its one parameter for several gradients: it unpacks it, or reads one of its items."""
    for node in nodes_of(backward):
        match node:
            case ast.Assign([ast.Tuple() | ast.List()], ast.Name(id=read)) | ast.For(iter=ast.Name(id=read)):
                pass
            case ast.Subscript(ast.Name(id=read), ast.Constant(int())):
                pass
            case _:
                continue
        if read == name:
            return True
    return False


def _is_compared(backward: Callable[..., Any], name: str) -> bool:
    return role_of(name) == "target" or (parse(name).form is Form.NONE and is_no_gradient(backward, name))


def _reads_what_was_kept(backward: Callable[..., Any]) -> bool:
    """Whether it reads an attribute; calls of methods are none."""
    nodes = list(nodes_of(backward))
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    read = (n.value for n in nodes if isinstance(n, ast.Attribute) and n not in called)
    return not nodes or any(ast.unparse(of) == "self" for of in read)


def _reads(backward: Callable[..., Any], name: str) -> bool:
    """Whether it does anything with its parameter: a loss's `backward(dout=1)` may be written for 1 alone."""
    nodes = list(nodes_of(backward))
    return not nodes or any(isinstance(node, ast.Name) and node.id == name for node in nodes)
