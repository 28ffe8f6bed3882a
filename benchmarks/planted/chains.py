"""Mutators of the chain itself: what is read from upstream, carried on, left standing, indexed, and rounded."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from benchmarks.planted.scenes import (
    Scene,
    binary,
    bracketed,
    expression,
    kind,
    plain,
    text,
)


@kind("upstream ignored")
def upstream_ignored(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    """Ones in place of the gradient that comes in."""
    if isinstance(node, (cst.Name, cst.Attribute)) and plain(node) in scene.gradients & scene.shapes.keys():
        yield expression(f"torch.ones_like({plain(node)})")


@kind("upstream read at one element")
def upstream_element(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    name = plain(node) if isinstance(node, (cst.Name, cst.Attribute)) else ""
    if name in scene.gradients and len(scene.shapes.get(name, ())) == 2:
        yield expression(f"{name}[:1, :1]")


@kind("dropped carry", of_statement=True)
def dropped_carry(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    """What had a value before, and gets its next one here: it keeps the old one, or is emptied."""
    if isinstance(node, cst.Assign) and len(node.targets) == 1:
        target = plain(node.targets[0].target)
        if target in scene.shapes and target in scene.gradients:
            yield cst.Pass()
            yield node.with_changes(value=expression(f"0 * {text(bracketed(node.value))}"))


@kind("first try left standing", of_statement=True)
def first_try(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    """A placeholder of the right shape, as one writes it before the line itself."""
    if isinstance(node, cst.Assign) and isinstance(node.targets[0].target, cst.Name):
        for made in ("zeros_like", "ones_like"):
            yield node.with_changes(value=expression(f"torch.{made}({text(node.value)})"))


@kind("off-by-one index")
def off_by_one(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    """`x[t - 1]` for `x[t]` and `x[1:]` for `x[:-1]`, where x is a tensor."""
    if not isinstance(node, cst.Subscript) or plain(node.value) not in scene.shapes:
        return
    for element in node.slice:
        if isinstance(element.slice, cst.Index):
            index = element.slice.value
            if isinstance(index, cst.BinaryOperation) and binary(index, cst.Add, cst.Subtract):
                yield node.deep_replace(index, index.left)
            if isinstance(index, cst.Name) and index.value not in scene.shapes:
                for change in ("- 1", "+ 1"):
                    yield node.deep_replace(index, expression(f"{index.value} {change}"))
