"""How an isolation is told: in a sentence, in tables, in a picture, in JSON."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from PIL import Image
from rich.console import Console

from gradcheck.cli.output import json_text
from gradcheck.isolation.records import Isolation, LayerCost
from gradcheck.report import markdown, terminal
from gradcheck.report.figures.isolation import pictures
from gradcheck.report.isolation import ranking, sentences
from gradcheck.report.model import Report
from tests.isolation.made import gradient, isolation, place

A, B = gradient("d_A", 12), gradient("d_B", 34)
NAN = float("nan")
USUAL = {(): [3.0, 3.2], ("d_A",): [2.5, 2.7], ("d_B",): [2.9, 3.1], ("d_A", "d_B"): [2.3, 2.5]}


@pytest.fixture
def usual() -> Isolation:
    return isolation(USUAL, A, B)


def test_one_sentence_ranks_the_faults_by_what_they_cost(usual: Isolation) -> None:
    assert ranking(usual) == (
        "`d_A` (line 12) costs 0.55 of the 0.7 that all faults cost together (3.1 as written, 2.4 repaired), "
        "`d_B` (line 34) 0.15."
    )


def test_what_does_not_show_against_the_seeds_is_said_to_cost_nothing_that_shows() -> None:
    found = isolation(USUAL | {("d_B",): [2.9, 3.3], ("d_A", "d_B"): [2.4, 2.8]}, A, B)
    assert ranking(found).endswith("`d_B` (line 34) costs nothing that exceeds the variation between seeds.")


def test_a_repair_that_makes_it_worse_is_told() -> None:
    found = isolation({(): [3.0, 3.2], ("d_A",): [3.1, 3.3]}, A)
    assert ranking(found) == (
        "All repaired, the loss is 3.2 after 20 steps, and 3.1 as written; repairing `d_A` (line 12) makes the loss "
        "0.1 larger within these steps."
    )


def test_what_diverges_is_told_and_which_repair_is_enough() -> None:
    found = isolation(
        {(): [3.0, NAN], ("d_A",): [2.5, 2.7], ("d_B",): [NAN, NAN], ("d_A", "d_B"): [2.3, 2.5]}, A, B
    )
    assert ranking(found) == (
        "As written training diverges (at step 3, on 1 of 2 seeds), with all repaired the loss is 2.4000; repairing "
        "`d_A` (line 12) alone is enough for it not to diverge. A diverged variant has no loss to rank by."
    )


def test_on_a_right_program_there_is_nothing_to_isolate() -> None:
    found = replace(
        isolation({(): [3.0, 3.2]}), replaced=11, difference=2e-6, first_difference=1e-7, first_steps=2
    )
    assert ranking(found) == (
        "There is nothing to isolate: no gradient is wrong, and substituting the true gradients changes nothing but "
        "rounding: with 11 gradients replaced by the true ones the loss differs by a relative 1e-7 over the first 2 "
        "steps and by 2e-6 at the end."
    )
    told = ranking(replace(found, first_difference=0.01))
    assert "changes nothing" not in told


def test_an_interrupted_experiment_says_how_much_is_done() -> None:
    found = isolation({(): [3.0, 3.2], ("d_A", "d_B"): [2.3]}, A, B)
    assert "Interrupted: 3 of 8 trainings are finished; --resume does the others." in list(sentences(found))


def test_what_stayed_frozen_and_what_a_layer_does_are_told(usual: Isolation) -> None:
    layer = LayerCost(2, "h2", place(5), "as written", [1], 2.0, None, 2.4, -0.4, 0.1)
    told = " ".join(
        sentences(
            replace(usual, frozen=["`lr` = 0.1 in line 7"], layers=[layer], left_out=["GC104 in line 1"])
        )
    )
    assert "Python numbers that keep their recorded value: `lr` = 0.1 in line 7." in told
    assert "Layer 2 (`h2`, line 5) makes the network worse: without it the loss is 0.4 lower" in told
    assert "Not repaired in any variant: GC104 in line 1." in told


def test_the_json_report_holds_it_and_reads_it_back(usual: Isolation) -> None:
    diverged = isolation(USUAL | {("d_B",): [NAN, 3.0]}, A, B)
    schema = json.loads(Path(markdown.__file__).with_name("schema.json").read_text())
    for found in (usual, diverged, None):
        report = Report("a.py", isolation=found)
        data = json.loads(json_text(report.to_dict()))
        jsonschema.validate(data, schema)
        again = Report.from_dict(data)
        assert repr(again.isolation) == repr(found)
        assert (data["isolation"] is None) == (found is None)
    assert Report("a.py", isolation=usual).to_dict()["isolation"]["ranking"] == ranking(usual)


def test_the_schema_refuses_another_shape(usual: Isolation) -> None:
    schema = json.loads(Path(markdown.__file__).with_name("schema.json").read_text())
    data = Report("a.py", isolation=usual).to_dict()
    data["isolation"]["costs"][0]["share"] = "much"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


def test_tables_come_as_data(usual: Isolation) -> None:
    report = Report("a.py", isolation=usual)
    costs = report.to_dataframe("isolation")
    assert list(costs["component"]) == ["d_A", "d_B"]
    assert costs["share"].sum() == pytest.approx(0.7)
    assert len(report.to_dataframe("isolation_variants")) == 4


def test_markdown_and_terminal_say_the_same(usual: Isolation) -> None:
    report = Report("a.py", isolation=usual)
    text = markdown.render(report, {"isolation": [markdown.Image("a b.png", "curves")]})
    assert "## Isolation" in text
    assert "![curves](<a b.png>)" in text
    assert "| `d_A` " in text
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    terminal.render_isolation(report, console)
    shown = console.export_text()
    assert "no room for:" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert " ".join(ranking(usual).split()) in " ".join(shown.split())
    assert ranking(usual).replace("_", "\\_").split("`")[-1].replace("\\_", "_") in text


def test_the_picture_is_small_and_shows_each_variant(usual: Isolation) -> None:
    (curves,) = pictures(usual)
    assert len(curves.png) < 100_000
    with Image.open(io.BytesIO(curves.png)) as picture:
        colours = {pixel for _, pixel in picture.convert("RGB").getcolors(1 << 20)}
    for wanted in ((0, 0, 0), (0, 0x72, 0xB2), (0xD5, 0x5E, 0), (0, 0x9E, 0x73)):
        assert min(sum(abs(a - b) for a, b in zip(wanted, colour, strict=True)) for colour in colours) < 30


def test_without_curves_there_is_no_picture() -> None:
    assert not list(pictures(Isolation()))
