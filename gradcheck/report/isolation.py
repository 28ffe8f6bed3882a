"""The isolation in tables and sentences, the same in every format."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from gradcheck.base import numbers
from gradcheck.base.codec import encode
from gradcheck.base.groups import joined
from gradcheck.isolation.records import Component, ComponentKind, Cost, Isolation, Variant
from gradcheck.report.tables import Column, Table, columns

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
    return [table for table in [_costs(isolation), variants, _layers(isolation)] if table.rows]


def encoded(isolation: Isolation | None) -> dict[str, Any] | None:
    """For the JSON report, with what is computed from the rest."""
    if isolation is None:
        return None
    data: dict[str, Any] = encode(isolation)
    for variant, row in zip(isolation.variants, data["variants"], strict=True):
        row |= {"loss": encode(variant.loss), "spread": encode(variant.spread)}
    return data | {"finished": isolation.finished, "ranking": ranking(isolation)}


def _costs(isolation: Isolation) -> Table:
    by_key = {component.key: component for component in isolation.components}
    shown = (
        Column("component", "repaired", "component.key", quoted),
        Column("what", "how", "component.what"),
        *columns("file=component.location.file cell=component.location.cell line=component.location.line"),
        Column("rules", "found by", lambda row: ", ".join(row.component.rules)),
        Column("verified", "proved", "component.verified"),
        Column("alone", "gain alone", "cost.alone", _gain),
        Column("alone_spread", "±", "cost.alone_spread", _gain),
        Column("last", "gain as the last", "cost.last", _gain),
        Column("last_spread", "±", "cost.last_spread", _gain),
        Column("share", "share", "cost.share", _gain),
        Column("share_spread", "±", "cost.share_spread", _gain),
    )
    costs = [_Costing(by_key[cost.key], cost) for cost in isolation.costs]
    hidden = {"file"} if len({row.component.location.file for row in costs}) <= 1 else set()
    if all(row.component.location.cell is None for row in costs):
        hidden.add("cell")
    return Table.of("isolation", "Gain in loss of each repair", shown, costs, hidden)


class _Costing(NamedTuple):
    component: Component
    cost: Cost


def _variants(isolation: Isolation) -> Table:
    written = isolation.as_written

    def gain(variant: Variant) -> float | None:
        if written is None or written.loss is None or variant.loss is None:
            return None
        return written.loss - variant.loss

    shown = (
        Column("repaired", "repaired", lambda variant: named(variant, isolation, quoted)),
        Column("loss", "loss", shown=_loss),
        Column("spread", "±", shown=_gain),
        Column("gain", "gain", gain, _gain),
        Column("seeds", "seeds", lambda variant: len(variant.seeds)),
        Column("diverged", "diverged", lambda variant: _diverged(variant) or None),
        Column("error", "why not trained", lambda variant: variant.error or None),
    )
    hidden = {name for name in ("diverged", "error") if not any(getattr(v, name) for v in isolation.variants)}
    title = f"Training loss, mean of the last {numbers.count(isolation.smoothed_over, 'step')} of {isolation.steps}"
    return Table.of("isolation_variants", title, shown, isolation.variants, hidden)


def _layers(isolation: Isolation) -> Table:
    shown = (
        Column("layer", "without layer", "number"),
        Column("name", "its output", shown=quoted),
        *columns("line=location.line network"),
        Column("loss", "loss", shown=_loss),
        Column("spread", "±", shown=_gain),
        Column("with_all", "with all layers", shown=_loss),
        Column("saves", "loss the layer saves", shown=_gain),
        Column("saves_spread", "±", shown=_gain),
        Column("error", "why not trained", lambda cost: cost.error or None),
    )
    hidden = () if any(cost.error for cost in isolation.layers) else {"error"}
    title = "Hidden layers switched off, true gradients throughout"
    return Table.of("isolation_layers", title, shown, isolation.layers, hidden)


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
    yield from (f"{name_of(c)} is {c.what}." for c in isolation.components if not c.verified)
    yield from _layer_sentences(isolation)
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
        listed = joined([_component(cost, isolation) for cost in unclear], len(unclear))
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
        listed = joined([name_of(component) for component in saved], len(saved))
        any_of = f"any one of {listed}" if saved[1:] else f"{listed} alone"
        text += f"; repairing {any_of} is enough for it not to diverge"
    return text + ". A diverged variant has no loss to rank by."


def _how(isolation: Isolation) -> str:
    return (
        f"{isolation.steps} replayed steps each, {numbers.count(len(isolation.seeds), 'seed')}, the same draws for "
        f"every variant; minibatches: {isolation.draws or 'not known'}. The compared number is the training loss, mean "
        f"of the last {isolation.smoothed_over} steps."
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


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _loss(value: float | None) -> str:
    return f"{value:.4f}" if value is not None and 1e-2 < abs(value) < 1e4 else numbers.value(value, 4)


def _gain(value: float | None) -> str:
    return numbers.value(value, 2)
