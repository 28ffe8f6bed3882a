"""The isolation in tables and sentences, the same in every format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gradcheck.base import numbers
from gradcheck.base.codec import encode
from gradcheck.isolation.records import Component, ComponentKind, Cost, Isolation, Variant
from gradcheck.report.tables import Column, Table, plain

# Relative to the loss: what is left of float32 after sums over some thousand numbers. Rounding grows over the steps,
# so only the first of them are compared with it.
ROUNDING = 1e-4


# What a narrow page can do without, the first thing first.
SPARE = ("what", "verified", "rules", "last_spread", "alone_spread", "cell", "with_all")


def tables(isolation: Isolation | None, brief: bool = False) -> list[Table]:
    """Those that have rows. `brief` leaves out the variants that are there for the shares alone."""
    if isolation is None:
        return []
    variants = _variants(isolation)
    if brief:
        most = 2 + 2 * len(isolation.components)
        variants.rows = variants.rows[:most]
    found = [_costs(isolation), variants, _layers(isolation)]
    return [table for table in found if table.rows]


def encoded(isolation: Isolation | None) -> dict[str, Any] | None:
    """For the JSON report, with what is computed from the rest."""
    if isolation is None:
        return None
    data: dict[str, Any] = encode(isolation)
    for variant, row in zip(isolation.variants, data["variants"], strict=True):
        row |= {"loss": encode(variant.loss), "spread": encode(variant.spread)}
    return data | {"finished": isolation.finished, "ranking": ranking(isolation)}


def _costs(isolation: Isolation) -> Table:
    columns = (
        Column("component", "repaired", quoted),
        Column("what", "how"),
        Column("file", "file"),
        Column("cell", "cell"),
        Column("line", "line"),
        Column("rules", "found by"),
        Column("verified", "proved"),
        Column("alone", "gain alone", _gain),
        Column("alone_spread", "±", _gain),
        Column("last", "gain as the last", _gain),
        Column("last_spread", "±", _gain),
        Column("share", "share", _gain),
        Column("share_spread", "±", _gain),
    )
    by_key = {component.key: component for component in isolation.components}
    rows = []
    for cost in isolation.costs:
        c = by_key[cost.key]
        place = c.location
        rows.append(
            (
                c.key, c.what, place.file, place.cell, place.line, ", ".join(c.rules), c.verified,
                cost.alone, cost.alone_spread, cost.last, cost.last_spread, cost.share, cost.share_spread,
            )
        )  # fmt: skip
    title = "Gain in loss of each repair"
    hidden = {"file"} if len({row[2] for row in rows}) <= 1 else set()
    if all(row[3] is None for row in rows):
        hidden.add("cell")
    return Table("isolation", title, columns, rows, frozenset(hidden))


def _variants(isolation: Isolation) -> Table:
    columns = (
        Column("repaired", "repaired"),
        Column("loss", "loss", _loss),
        Column("spread", "±", _gain),
        Column("gain", "gain", _gain),
        Column("seeds", "seeds"),
        Column("diverged", "diverged"),
        Column("error", "why not trained"),
    )
    written = isolation.as_written
    rows = []
    for variant in isolation.variants:
        gain = None
        if written is not None and written.loss is not None and variant.loss is not None:
            gain = written.loss - variant.loss
        diverged = _diverged(variant) or None
        rows.append(
            (
                named(variant, isolation, quoted), variant.loss, variant.spread, gain, len(variant.seeds), diverged,
                variant.error or None,
            )
        )  # fmt: skip
    hidden = {name for name, i in (("diverged", 5), ("error", 6)) if all(row[i] is None for row in rows)}
    title = f"Training loss, mean of the last {numbers.count(isolation.smoothed_over, 'step')} of {isolation.steps}"
    return Table("isolation_variants", title, columns, rows, frozenset(hidden))


def _layers(isolation: Isolation) -> Table:
    columns = (
        Column("layer", "without layer"),
        Column("name", "its output", quoted),
        Column("line", "line"),
        Column("network", "network"),
        Column("loss", "loss", _loss),
        Column("spread", "±", _gain),
        Column("with_all", "with all layers", _loss),
        Column("saves", "loss the layer saves", _gain),
        Column("saves_spread", "±", _gain),
        Column("error", "why not trained"),
    )
    rows = [
        (
            cost.number, cost.name, cost.location.line, cost.network, cost.loss, cost.spread, cost.with_all,
            cost.saves, cost.saves_spread, cost.error or None,
        )
        for cost in isolation.layers
    ]  # fmt: skip
    hidden = frozenset({"error"} if all(row[-1] is None for row in rows) else set())
    return Table(
        "isolation_layers", "Hidden layers switched off, true gradients throughout", columns, rows, hidden
    )


def quoted(key: str) -> str:
    """A name of the person's as code; `line 115` and `layer 2` are words."""
    return key if " " in key else f"`{key}`"


def named(variant: Variant, isolation: Isolation, shown: Callable[[str], str] = str) -> str:
    """`nothing: as written`, `all`, `all but d_W_2`, `d_A_1, line 115`."""
    keys = [component.key for component in isolation.components]
    if not variant.repaired:
        return "nothing: as written"
    left = [key for key in keys if key not in variant.repaired]
    if not left:
        return "all" if len(keys) > 1 else shown(keys[0])
    if len(left) == 1 and len(keys) > 2:
        return f"all but {shown(left[0])}"
    return ", ".join(map(shown, variant.repaired))


# -- sentences -------------------------------------------------------------------------------------------------------


def sentences(isolation: Isolation) -> Iterator[str]:
    """The ranking first."""
    yield ranking(isolation)
    if not isolation.finished:
        yield (
            f"Interrupted: {isolation.done} of {isolation.wanted} trainings are finished; --resume does the others."
        )
    yield _how(isolation)
    if unproved := [c for c in isolation.components if not c.verified]:
        for component in unproved:
            yield f"{name_of(component)} is {component.what}."
    yield from (sentence for sentence in _layer_sentences(isolation))
    for variant in isolation.variants:
        if variant.error:
            yield f"With {named(variant, isolation)} repaired the program could not be trained: {variant.error}."
    if isolation.left_out:
        yield f"Not repaired in any variant: {'; '.join(isolation.left_out)}."
    if isolation.followed:
        yield f"Python numbers that change from step to step, computed again in each: {', '.join(isolation.followed)}."
    if isolation.frozen:
        yield f"Python numbers that keep their recorded value: {', '.join(isolation.frozen)}."
    yield from (f"{note[:1].upper()}{note[1:]}." for note in isolation.notes)


def ranking(isolation: Isolation) -> str:
    """What each fault costs, in one sentence."""
    if not isolation.components:
        return _nothing_to_isolate(isolation)
    written, repaired = isolation.as_written, isolation.all_repaired
    if written is None or repaired is None:
        return "Too few variants were trained to compare the faults."
    if written.diverged or repaired.diverged or written.error or repaired.error:
        return _diverging(isolation, written, repaired)
    assert written.loss is not None
    assert repaired.loss is not None
    total = written.loss - repaired.loss
    before, after = numbers.distinct(written.loss, repaired.loss, 4)
    known = [(c, *c.worth) for c in isolation.costs if c.worth is not None]
    if not known:
        return f"All repaired, the loss is {after} instead of {before}."
    clear = [(cost, gain) for cost, gain, spread in known if gain > max(spread, 0.0)]
    worse = [(cost, gain) for cost, gain, spread in known if -gain > max(spread, 0.0)]
    unclear = [cost for cost, gain, spread in known if abs(gain) <= max(spread, 0.0)]
    parts = []
    if clear and total > 0:
        (first, gain), *others = clear
        together = (
            f"of the {_gain(total)} that all faults cost together ({before} as written, {after} repaired)"
        )
        if len(isolation.components) == 1:
            parts = [
                f"{_component(first, isolation)} costs {_gain(gain)} ({before} as written, {after} repaired)"
            ]
        elif first.share is None:
            listed = ", ".join(f"{_component(cost, isolation)} {_gain(gain)}" for cost, gain in clear)
            parts = [f"With all others repaired, {listed} still costs, {together}"]
        else:
            listed = "".join(f", {_component(cost, isolation)} {_gain(gain)}" for cost, gain in others)
            parts = [f"{_component(first, isolation)} costs {_gain(gain)} {together}{listed}"]
    else:
        parts = [f"All repaired, the loss is {after} after {isolation.steps} steps, and {before} as written"]
        parts += [f"{_component(cost, isolation)} costs {_gain(gain)}" for cost, gain in clear]
    parts += [
        f"repairing {_component(cost, isolation)} makes the loss {_gain(-gain)} larger within these steps"
        for cost, gain in worse
    ]
    if unclear:
        listed = _listing([_component(cost, isolation) for cost in unclear])
        parts.append(
            f"{listed} cost{'s' if len(unclear) == 1 else ''} nothing that exceeds the variation between seeds"
        )
    return "; ".join(parts) + "."


def _nothing_to_isolate(isolation: Isolation) -> str:
    """A right program; the experiment shows that substitution by itself changes nothing."""
    if isolation.left_out:
        return "There is nothing to isolate: no fault can be repaired here."
    text = "There is nothing to isolate: no gradient is wrong"
    if isolation.difference is None or isolation.first_difference is None:
        return text + "."
    every = f"{numbers.count(isolation.replaced, 'gradient')} replaced by the true one{'s' * (isolation.replaced > 1)}"
    start, end = numbers.error(isolation.first_difference), numbers.error(isolation.difference)
    if isolation.first_difference <= ROUNDING:
        text += f", and substituting the true gradients changes nothing but rounding: with {every}"
    else:
        text += f", yet with {every}"
    return (
        f"{text} the loss differs by a relative {start} over the first {isolation.first_steps} steps and by {end} at "
        "the end."
    )


def _diverging(isolation: Isolation, written: Variant, repaired: Variant) -> str:
    parts = []
    for variant, words in ((written, "as written"), (repaired, "with all repaired")):
        if variant.error:
            parts.append(f"{words} it could not be trained ({variant.error})")
        elif variant.diverged:
            parts.append(f"{words} training diverges ({_diverged(variant)})")
        else:
            parts.append(f"{words} the loss is {_loss(variant.loss)}")
    text = _capital(", ".join(parts))
    saved = [
        component
        for component in isolation.components
        if (alone := isolation.variant([component.key])) is not None and alone.loss is not None
    ]
    if written.diverged and saved:
        listed = _listing([name_of(component) for component in saved])
        text += (
            f"; repairing {listed} alone is enough for it not to diverge"
            if saved[1:] == []
            else (f"; repairing any one of {listed} is enough for it not to diverge")
        )
    return text + ". A diverged variant has no loss to rank by."


def _how(isolation: Isolation) -> str:
    text = (
        f"{isolation.steps} replayed steps each, {numbers.count(len(isolation.seeds), 'seed')}, the same draws for "
        f"every variant; minibatches: {isolation.draws or 'not known'}"
    )
    return (
        text
        + f". The compared number is the training loss, mean of the last {isolation.smoothed_over} steps."
    )


def _layer_sentences(isolation: Isolation) -> Iterator[str]:
    if isolation.no_layers:
        yield f"No hidden layer was switched off: {isolation.no_layers}."
    for cost in isolation.layers:
        if cost.saves is None:
            continue
        spread = cost.saves_spread or 0.0
        layer = f"layer {cost.number} (`{cost.name}`, line {cost.location.line})"
        if cost.saves < -spread:
            verdict = f"{layer} makes the network worse: without it the loss is {_gain(-cost.saves)} lower"
        elif cost.saves > spread:
            verdict = f"{layer} lowers the loss by {_gain(cost.saves)}"
        else:
            verdict = f"whether {layer} is there makes no difference that exceeds the variation between seeds"
        where = "as written" if cost.network == "as written" else "with the edits made"
        yield f"{_capital(verdict)} (network {where}, true gradients)."


def name_of(component: Component) -> str:
    """`d_A_1` (line 137); line 115."""
    if component.kind is ComponentKind.EDIT and component.verified:
        return component.key
    cell = "" if component.location.cell is None else f"cell {component.location.cell} "
    return f"{quoted(component.key)} ({cell}line {component.location.line})"


def _component(cost: Cost, isolation: Isolation) -> str:
    return name_of(next(c for c in isolation.components if c.key == cost.key))


def _diverged(variant: Variant) -> str:
    if not variant.diverged:
        return ""
    first = min(step for step in variant.diverged_at if step is not None)
    return f"at step {first}, on {variant.diverged} of {numbers.count(len(variant.seeds), 'seed')}"


def _listing(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _loss(value: float | None) -> str:
    return (
        plain(None)
        if value is None
        else f"{value:.4f}"
        if 1e-2 < abs(value) < 1e4
        else numbers.value(value, 4)
    )


def _gain(value: float | None) -> str:
    return numbers.value(value, 2)
