"""What a golden report keeps of a report, and how two of them differ. Pure functions on plain JSON data.

A golden report must be the same on every machine and in every run, as long as gradcheck says the same. So times and
paths are replaced, floats keep three digits, and a number that is nothing but rounding becomes a marker.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

DIGITS = 3
ZERO = "~0"  # a float that is zero but for rounding
ROUNDING = "~rounding"  # a number that measures rounding, and differs between machines
_TINY = 1e-12
# A relative error below it is rounding: of float64, of a float32 constant, of a sum that is zero.
_EXACT = 1e-6
_SAME = 0.006  # relative; three digits may round to either side of a half

# Text for people. It may be reworded without changing what a report says.
WORDING = frozenset(
    [
        *(
            "message",
            "label",
            "notes",
            "helps",
            "hint",
            "sentence",
            "expected",
            "found",
            "explanation",
            "scale_note",
        ),
        *(
            "reason",
            "reasons",
            "no_trend",
            "absent",
            "in_use_absent",
            "no_loss",
            "network_reason",
            "looked_at",
        ),
        *("evidence", "explained_by", "difference", "source", "fresh"),
    ]
)
_TIMES = frozenset(("seconds", "elapsed", "duration"))
_ERRORS = ("error", "_error")
_SECONDS = re.compile(r"(?<![\w.])\d+(?:\.\d+)? (?:ms|s|seconds)\b")
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
_TEMPORARY = re.compile(r"(?:/private)?/(?:tmp|var/folders)/[\w./-]*?(?=[\s'\"`:,)]|$)")
_FLOAT = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d+(?:e[-+]?\d+)?|\d+e[-+]?\d+)(?![\w.])")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")


def normalised(report: Any, root: str) -> Any:
    """The report without what depends on the machine. `root`: the directory whose files are named in it."""
    return _normalised(report, "", root)


def _normalised(value: Any, key: str, root: str) -> Any:
    if key in _TIMES:
        return "<time>"
    if isinstance(value, dict):
        return _normalised_object(value, root)
    if isinstance(value, list):
        return [_normalised(each, key, root) for each in value]
    if isinstance(value, str):
        return _normalised_text(value, root)
    if isinstance(value, float):
        return _normalised_number(value, key)
    return value


def _normalised_object(value: dict[str, Any], root: str) -> dict[str, Any]:
    kept = {key: _normalised(each, key, root) for key, each in value.items()}
    if kept.get("total_error") == ZERO:  # rounding decides which element is the worst
        kept |= {key: ROUNDING for key in ("worst", "mismatched") if kept.get(key) is not None}
    if kept.get("expected_norm") == kept.get("found_norm") == ZERO:
        kept |= {key: ROUNDING for key in ("cosine",) if kept.get(key) is not None}
    mean, deviation = value.get("gradient_mean"), value.get("gradient_std")
    if isinstance(mean, float) and isinstance(deviation, float) and abs(mean) < _EXACT * deviation:
        kept["gradient_mean"] = ZERO
    return kept


def _normalised_number(value: float, key: str) -> float | str:
    if key == "noise":
        return ROUNDING
    if not math.isfinite(value):
        return str(value)
    if abs(value) < (_EXACT if key.endswith(_ERRORS) else _TINY):
        return ZERO
    return float(f"{value:.{DIGITS}g}")


def _normalised_text(text: str, root: str) -> str:
    text = text.replace(root, "<root>")
    text = _TEMPORARY.sub("<temporary>", _ADDRESS.sub("<address>", text))
    text = _SECONDS.sub("<time>", text)
    return _FLOAT.sub(_normalised_float, text)


def _normalised_float(match: re.Match[str]) -> str:
    value = float(match[0])
    digits = len(re.sub(r"\D", "", match[0].partition("e")[0]).lstrip("0"))
    if value and abs(value) < _TINY:
        return ZERO
    return match[0] if digits <= DIGITS else f"{value:.{DIGITS}g}"


@dataclass(frozen=True, slots=True)
class Change:
    where: str  # the path of keys, such as `gradients[dW at 12].verdict`
    old: Any  # MISSING if there was nothing
    new: Any
    is_wording: bool

    def __str__(self) -> str:
        has_others = self.is_wording and _numbers(self.old) != _numbers(self.new)
        note = "  (with other numbers)" if has_others else ""
        return f"{self.where}: {_shown(self.old)} -> {_shown(self.new)}{note}"


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


def differences(old: Any, new: Any) -> list[Change]:
    """All changes from one golden report to another, in the order of the report."""
    return list(_differences(old, new, "", ""))


def _differences(old: Any, new: Any, where: str, key: str) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in (*old, *(name for name in new if name not in old)):
            inner = f"{where}.{name}" if where else name
            one, other = old.get(name, MISSING), new.get(name, MISSING)
            # A layer's `gradients` have by their names a verdict, which is one word, or a reason.
            is_reason = key == "gradients" and " " in str(one) and " " in str(other)
            yield from _differences(one, other, inner, "reason" if is_reason else name)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_differences(old, new, where, key)
    elif not _is_same(old, new):
        are_texts = isinstance(old, str) and isinstance(new, str) and old != "" and new != ""
        yield Change(where, old, new, key in WORDING and are_texts)


def _list_differences(old: list[Any], new: list[Any], where: str, key: str) -> Iterator[Change]:
    """Objects are matched by what they are about, so that one more row is one change and not a hundred."""
    if not all(isinstance(each, dict) for each in (*old, *new)):
        if len(old) != len(new):
            yield Change(where, old, new, False)
        else:
            for index, (one, other) in enumerate(zip(old, new, strict=True)):
                yield from _differences(one, other, f"{where}[{index}]", key)
        return
    before, after = _by_subject(old), _by_subject(new)
    for subject in (*before, *(subject for subject in after if subject not in before)):
        one, other = before.get(subject, MISSING), after.get(subject, MISSING)
        yield from _differences(one, other, f"{where}[{subject}]", key)
    kept_before = [subject for subject in before if subject in after]
    kept_after = [subject for subject in after if subject in before]
    if kept_before != kept_after:
        yield Change(f"{where} (order)", kept_before, kept_after, False)


def _by_subject(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    seen: Counter[str] = Counter()
    found = {}
    for row in rows:
        subject = _subject(row)
        seen[subject] += 1
        found[subject if seen[subject] == 1 else f"{subject} #{seen[subject]}"] = row
    return found


def _subject(row: dict[str, Any]) -> str:
    """What a row of a list is about: its rule, name and place, as far as it has them."""
    parts = [str(row[key]) for key in ("rule", "parameter", "name", "code") if isinstance(row.get(key), str)]
    place = row.get("location") or row
    if isinstance(place, dict) and isinstance(place.get("line", place.get("first_line")), int):
        cell = f"cell {place['cell']} " if place.get("cell") else ""
        parts.append(f"at {cell}{place.get('line', place.get('first_line'))}")
    if "pass_index" in row:
        parts.append(f"pass {row['pass_index']}")
    return " ".join(parts) or "item"


def _is_same(old: Any, new: Any) -> bool:
    if isinstance(old, bool) or isinstance(new, bool):
        return bool(old is new)
    if isinstance(old, int | float) and isinstance(new, int | float):
        if isinstance(old, int) and isinstance(new, int):
            return old == new
        return abs(old - new) <= _SAME * max(abs(old), abs(new))
    return bool(old == new)


def _numbers(value: Any) -> Counter[str]:
    return Counter(_NUMBER.findall(str(value)))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        telling = [key for key in ("verdict", "severity", "message", "movement") if key in value]
        return "{" + ", ".join([f"{key} {value[key]}" for key in telling] or map(str, value)) + "}"
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."
