"""Rows and findings as JSON values, and back.

JSON has no NaN and no infinity. They are written as the strings "NaN", "Infinity" and "-Infinity", which
Python's `float()` and JavaScript's `Number()` both read; `null` keeps its one meaning, "nothing to compare
with".
"""

from __future__ import annotations

import dataclasses
import math
from enum import Enum
from typing import Any, TypeVar

from gradcheck.checks.finding import Finding, Fix, Severity, SuppressedFinding
from gradcheck.judge.step.records import Bypass, Movement, ParameterUpdate, SkippedGradient, StepFlow
from gradcheck.judge.verdict import GradientResult, PassResult, Problem, Verdict, WorstElement
from gradcheck.program.location import Location

Json = dict[str, Any]
T = TypeVar("T")


def encode(value: Any) -> Any:
    """`value` in terms of what JSON can hold; dataclasses become objects, field by field."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return _encode_float(value)
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((encode(item) for item in value), key=str)
    if hasattr(value, "tolist"):  # a numpy scalar or array among the evidence of a check
        return encode(value.tolist())
    return str(value)


def decode_float(value: Any) -> float | None:
    """The number behind a JSON number, `null` or one of the three strings."""
    return None if value is None else float(value)


def decode_gradient(data: Json) -> GradientResult:
    row = _known_fields(GradientResult, data)
    for name in (
        "total_error",
        "local_error",
        "hidden_error",
        "noise",
        "cosine",
        "expected_norm",
        "found_norm",
    ):
        row[name] = decode_float(row.get(name))
    worst = row.get("worst")
    row["worst"] = worst and WorstElement(
        tuple(worst["index"]), float(worst["expected"]), float(worst["found"])
    )
    for name in ("shape", "of_shape"):
        row[name] = None if row.get(name) is None else tuple(row[name])
    row["verdict"] = Verdict(row["verdict"])
    row["problem"] = Problem(row.get("problem", ""))
    row["location"] = Location.from_dict(row["location"])
    row["of_location"] = _location(row.get("of_location"))
    row["lines"] = [Location.from_dict(line) for line in row.get("lines", [])]
    return GradientResult(**row)


def encode_pass(step: PassResult) -> Json:
    """A pass without its rows: those stand in the report's one list of gradients."""
    data: Json = encode(dataclasses.replace(step, gradients=[]))
    del data["gradients"]
    data["location"] = data.pop("loss_location")
    return data


def decode_pass(data: Json, gradients: list[GradientResult]) -> PassResult:
    row = _known_fields(PassResult, data)
    row["loss_location"] = Location.from_dict(data["location"])
    row["loss_value"] = decode_float(row.get("loss_value"))
    row["gradients"] = [g for g in gradients if g.pass_index == row["index"]]
    row["flow"] = _decode_flow(data.get("flow"))
    return PassResult(**row)


def _decode_flow(data: Json | None) -> StepFlow:
    """Reports of earlier versions have none."""
    if data is None:
        return StepFlow()
    return StepFlow(
        [_decode_skipped(row) for row in data["skipped"]],
        [_decode_update(row) for row in data["updates"]],
        data["minimised"],
    )


def _decode_skipped(data: Json) -> SkippedGradient:
    row = _known_fields(SkippedGradient, data)
    row["location"] = Location.from_dict(data["location"])
    row["bypassed_by"] = tuple(
        Bypass(**{**_known_fields(Bypass, past), "location": Location.from_dict(past["location"])})
        for past in data["bypassed_by"]
    )
    return SkippedGradient(**row)


def _decode_update(data: Json) -> ParameterUpdate:
    row = _known_fields(ParameterUpdate, data)
    row["movement"] = Movement(data["movement"])
    for name in ("location", "gradient_location"):
        row[name] = _location(data[name])
    for name in ("moved_by", "moved_by_of"):
        row[name] = tuple(data[name])
    return ParameterUpdate(**row)


def decode_finding(data: Json) -> Finding:
    row = _known_fields(Finding, data)
    row["severity"] = Severity(row["severity"])
    row["location"] = Location.from_dict(row["location"])
    fix = row.get("fix")
    row["fix"] = fix and Fix(
        fix["verified"], fix["diff"], fix["replacement"], Location.from_dict(fix["location"])
    )
    return Finding(**row)


def encode_suppressed(suppressed: SuppressedFinding) -> Json:
    """A finding as any other, and where the comment stands."""
    return {**encode(suppressed.finding), "suppressed_by": encode(suppressed.comment)}


def decode_suppressed(data: Json) -> SuppressedFinding:
    return SuppressedFinding(decode_finding(data), Location.from_dict(data["suppressed_by"]))


def known(cls: type[T], data: Json) -> T:
    """An instance of a flat dataclass from the fields it knows: a newer writer may have added some."""
    return cls(**_known_fields(cls, data))


def _known_fields(cls: type, data: Json) -> Json:
    return {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}


def _location(data: Json | None) -> Location | None:
    return None if data is None else Location.from_dict(data)


def _encode_float(value: float) -> float | str:
    if math.isfinite(value):
        return float(value)
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
