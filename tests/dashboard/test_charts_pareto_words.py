"""The words on and beside the Pareto plot."""

from __future__ import annotations

import pytest

from dashboard.charts import alt_text, caption, notice, pareto_figure, theme
from dashboard.charts.pareto.points import HOVER
from dashboard.words import words
from optim.candidate import Candidate
from optim.recipe import recipe_of
from optim.search.pareto import Front, Limits, Objective, ranked_front
from optim.search.predict import Prediction
from tests.dashboard.factories import candidate
from tests.dashboard.figures import labels, listed, names, trace

ALL = tuple(Objective)


def test_axis_titles_carry_unit_and_direction(front: Front) -> None:
    layout = pareto_figure(front).layout
    assert layout.xaxis.title.text == "Latency p50, ms (lower is better ←)"
    assert layout.yaxis.title.text == "Accuracy, % of 10,000 (higher is better ↑)"
    assert pareto_figure(front, x="size").layout.xaxis.title.text.startswith("File size, MB")


def test_tiny_networks_get_smaller_units() -> None:
    quick = [
        candidate(recipe_of(), speedup=20.0, size_bytes=90_000),
        candidate(recipe_of(precision="int8"), speedup=50.0, size_bytes=30_000, lost=3),
    ]
    assert "µs" in pareto_figure(quick).layout.xaxis.title.text
    assert "KB" in pareto_figure(quick, x="size").layout.xaxis.title.text


def test_recorded_accuracies_have_a_rim_and_say_so(front: Front) -> None:
    members = trace(pareto_figure(front), "front")
    by_id = {c.id: c for c in front.members}
    rims = listed(members.marker.line.color, len(members.x))
    for row, rim in zip(members.customdata, rims, strict=True):
        recorded = by_id[row[0]].score.recorded
        assert (rim == theme(False).text) is recorded
        assert row[3].endswith("recorded" if recorded else "measured")
    assert "3 recorded accuracies" in caption(front)


def test_names_of_strangers_are_escaped_and_never_in_the_template(
    monkeypatch: pytest.MonkeyPatch, candidates: tuple[Candidate, ...]
) -> None:
    evil = "<script>alert(1)</script>%{x}"
    monkeypatch.setattr(Candidate, "words", lambda self: evil)
    figure = pareto_figure(candidates, recommended=candidates[2].id)
    for t in figure.data:
        if t.customdata is not None:
            assert t.hovertemplate == HOVER
            assert not any("<script" in str(cell) for row in t.customdata for cell in row)
    assert not any("<script" in text for text in labels(figure))


def test_an_empty_plot_and_a_single_point_are_drawn_and_explained(
    candidates: tuple[Candidate, ...],
) -> None:
    nothing, single = ranked_front([], ALL), ranked_front(candidates[:1], ALL)
    assert names(pareto_figure(nothing)) == set()
    assert "empty plot" in alt_text(nothing)
    assert "Nothing is measured yet" in notice(nothing)
    assert "baseline" in names(pareto_figure(single))
    assert "Only one candidate" in notice(single)


def test_a_front_that_gained_nothing_is_said(candidates: tuple[Candidate, ...]) -> None:
    slow = candidate(recipe_of(pruning_ratio=0.5), speedup=0.5, size_bytes=9_000_000, lost=300)
    assert "beats every other" in notice(ranked_front([candidates[0], slow], ALL))
    assert notice(ranked_front(candidates, ALL)) is None


def test_limits_that_nobody_keeps_are_said(candidates: tuple[Candidate, ...]) -> None:
    none = ranked_front(candidates, ALL, Limits(max_latency_ms=0.001))
    assert "No measured candidate keeps" in notice(none)
    assert "staircase" not in names(pareto_figure(none))


def test_the_alternative_text_has_the_numbers(front: Front, prediction: Prediction) -> None:
    choice = next(c for c in front.members if c.words() == "prune 50 % of channels, INT8")
    text = alt_text(front, prediction=prediction, recommended=choice.id)
    assert "11 candidates" in text
    assert "The original has 94.00 % at 2.66 ms and 7.9 MB." in text
    assert choice.latency is not None
    time = words.latency(choice.latency.p50_ms)
    assert f"prune 50 % of channels, INT8: 93.31 % at {time} and 545 KB" in text
    assert "Recommended: prune 50 % of channels, INT8, 10.9x faster" in text
    assert "Predicted, not measured: prune 40 % of channels, INT8" in text


def test_the_caption_says_in_which_objectives_the_front_is_computed(front: Front) -> None:
    assert caption(front).startswith("The front is computed in latency, size and accuracy")
    two = ranked_front(front.measured, (Objective.LATENCY, Objective.SCORE))
    assert caption(two).startswith("The front is computed in latency and accuracy.")


def test_the_hover_says_who_cannot_be_told_apart() -> None:
    pair = [
        candidate(recipe_of(precision="int8"), speedup=3.4, lost=4, better=30),
        candidate(recipe_of(precision="int8", seed=1), speedup=3.4, lost=6, better=30),
    ]
    figure = pareto_figure([candidate(recipe_of()), *pair])
    notes = [row[-1] for t in figure.data if t.customdata is not None for row in t.customdata]
    assert any(note.startswith("not distinguishable from INT8") for note in notes)
