"""The figures of a report: drawn from records made by hand, small, and of what the records say."""

from __future__ import annotations

import struct

import pytest

from gradcheck.health.activations.records import ActivationHealth, ActivationRecord, Histogram
from gradcheck.health.batch_norm.records import BatchNormHealth, BatchNormLayer
from gradcheck.health.records import Health
from gradcheck.health.samples.records import Lengths, SampleHealth, SampleSet, Training
from gradcheck.health.updates.records import ParameterRecord, StepRecord, UpdateHealth
from gradcheck.program.location import Location
from gradcheck.report.contents import ReportContents
from gradcheck.report.figures.all import report_pictures
from gradcheck.report.figures.drawing import COLOURS, LINES, MARKERS, MOST_BYTES, Picture

PLACE = Location("train.py", None, 3, 3, 1, 9)


def layer(number: int, *, index: int = 0) -> ActivationRecord:
    return ActivationRecord(
        index, 0, number, 2, number, f"h{number}", f"z{number}", "tanh", PLACE, units=6, saturated=0.5,
        histogram=Histogram([-1.0, 0.0, 1.0], [3, 5]), gradient_histogram=Histogram([-1e-3, 0.0, 1e-3], [4, 4]),
        map=["##..#.", ".#..##"],
    )  # fmt: skip


def norm(number: int) -> BatchNormLayer:
    return BatchNormLayer(
        0,
        0,
        number,
        f"z{number}",
        PLACE,
        "norm",
        "out",
        32,
        3,
        means=[0.0, 1e-9, -1e-9],
        stds=[0.9, 1.0, 1.1],
    )


def step(iteration: int) -> StepRecord:
    rows = [
        ParameterRecord(f"W{i}", (4, 4), True, 0.0, 1.0, f"dW{i}", 0.0, 0.1, update_std=10.0 ** -(i + 2))
        for i in range(9)
    ]
    return StepRecord(0, iteration, rows)


def samples(longest: int = 60) -> SampleSet:
    generated = Lengths("drawn", [0, 9, 1])
    data = Lengths("the words", [0, 1, 2, 30, 40, *[0] * (longest - 5), 1])
    return SampleSet("drawn by `multinomial`", PLACE, generated, Training(), data=data)


@pytest.fixture
def health() -> Health:
    return Health(
        activations=ActivationHealth("", [layer(1), layer(2)]),
        batch_norm=BatchNormHealth("", [norm(1), norm(2)]),
        updates=UpdateHealth("", [step(0), step(100)]),
        samples=SampleHealth("", [samples()]),
    )


def drawn(health: Health) -> list[Picture]:
    return report_pictures(ReportContents("train.py", health=health))


def size_of(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_every_family_is_drawn_small_and_legible(health):
    pictures = drawn(health)
    assert [picture.name for picture in pictures] == [
        "saturation", "activations", "activation-gradients", "batch-norm", "updates", "sample-lengths",
    ]  # fmt: skip
    for picture in pictures:
        width, height = size_of(picture.png)
        assert len(picture.png) < MOST_BYTES, picture.name
        assert width >= 400
        assert height >= 100
        assert picture.alt


def test_a_large_map_is_drawn_under_the_limit():
    import random

    draw = random.Random(0)
    large = layer(1)
    large.map = ["".join(draw.choice("#.") for _ in range(1200)) for _ in range(128)]
    health = Health(activations=ActivationHealth("", [large] * 2))
    assert all(len(picture.png) < MOST_BYTES for picture in drawn(health))


def test_nothing_measured_nothing_drawn():
    assert drawn(Health()) == []


def test_of_several_steps_the_last_is_drawn():
    alone = Health(activations=ActivationHealth("", [layer(1, index=1)]))
    health = Health(activations=ActivationHealth("", [layer(1), layer(2), layer(1, index=1)]))
    assert drawn(health)[0].png == drawn(alone)[0].png


def test_fourteen_lines_differ_in_colour_or_dash():
    styles = [
        (COLOURS[i % len(COLOURS)], LINES[i % len(LINES)], MARKERS[i % len(MARKERS)]) for i in range(14)
    ]
    assert len(set(styles)) == 14
