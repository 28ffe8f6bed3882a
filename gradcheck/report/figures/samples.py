"""How long the generated sequences are, against those of the training data."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.health.samples.records import Lengths, SampleHealth, SampleSet
from gradcheck.report.figures.drawing import COLOURS, Picture, new_figure, png_of

_MOST_LENGTHS = 40


def pictures(health: SampleHealth) -> Iterator[Picture]:
    drawn = [each for each in health.sets if each.count]
    for number, each in enumerate(drawn, start=1):
        yield _lengths(each, "" if len(drawn) == 1 else f"-{number}")


def _lengths(samples: SampleSet, suffix: str) -> Picture:
    figure = new_figure(3.2)
    axes = figure.add_subplot()
    data = samples.data
    longest = max(samples.lengths.longest, data.longest if data else 0)
    last = min(longest, _MOST_LENGTHS)
    if data is not None and data.count:
        axes.bar(
            [i - 0.2 for i in range(last + 1)],
            _shares(data, last),
            width=0.4,
            color=COLOURS[0],
            label=f"training data ({data.count:,}, mean {data.mean:.2f})",
        )
    axes.bar(
        [i + 0.2 for i in range(last + 1)],
        _shares(samples.lengths, last),
        width=0.4,
        color="white",
        edgecolor=COLOURS[1],
        hatch="////",
        label=f"generated ({samples.count:,}, mean {samples.lengths.mean:.2f})",
    )
    more = f" ({last}: {last} or more)" if longest > last else ""
    axes.set_xlabel(f"length (tokens before the end){more}")
    axes.set_ylabel("share of the sequences")
    axes.set_title("Lengths of generated sequences against the training data", fontsize=10, loc="left")
    axes.legend(fontsize=8)
    return Picture(
        f"sample-lengths{suffix}",
        "samples",
        f"Lengths of the sequences {samples.source} against those of the training data.",
        png_of(figure),
    )


def _shares(lengths: Lengths, last: int) -> list[float]:
    counts = [*lengths.counts, *[0] * (last + 1 - len(lengths.counts))]
    kept = [*counts[:last], sum(counts[last:])]
    return [count / max(1, lengths.count) for count in kept]
