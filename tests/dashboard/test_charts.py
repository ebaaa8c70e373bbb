from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dashboard.charts import (
    class_accuracy,
    hypervolume_figure,
    metrics_figure,
    per_class_figure,
    theme,
    three_objectives_figure,
)
from dashboard.charts.pareto.labels import Box, Label, place
from dashboard.charts.theme import METHOD_SYMBOLS
from optim.candidate import Candidate
from optim.search.hypervolume import hypervolume_history
from optim.search.pareto import Objective, ranked_front
from tests.dashboard.factories import many_candidates, sample_candidates

LABELS = ("shirt", "<b>coat</b>", "bag")


def contrast(first: str, second: str) -> float:
    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_text_of_charts_can_be_read(dark: bool) -> None:
    colours = theme(dark)
    for ink in (colours.text, colours.muted, colours.primary, colours.limit, colours.predicted):
        assert contrast(ink, colours.background) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
def test_methods_differ_in_colour_and_symbol(dark: bool) -> None:
    methods = theme(dark).methods
    assert len(set(methods.values())) == len(methods) == len(set(METHOD_SYMBOLS.values()))
    assert all(contrast(ink, theme(dark).background) >= 2 for ink in methods.values())


def test_charts_never_load_streamlit() -> None:
    code = "import sys, dashboard.charts, dashboard.words.words; print('streamlit' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_hypervolume_is_a_staircase_with_the_candidates_ids() -> None:
    candidates = sample_candidates()
    history = hypervolume_history(candidates)
    figure = hypervolume_figure(history)
    line, steps = figure.data
    assert line.line.shape == "hv"
    assert list(line.y) == [step.value for step in history]
    assert [row[0] for row in steps.customdata] == [step.candidate_id for step in history]


def test_a_long_history_marks_only_the_steps_that_raised_it() -> None:
    history = hypervolume_history(many_candidates(400))
    marked = [row[2] for row in hypervolume_figure(history).data[1].customdata]
    assert set(marked) == {"raised the front"}


def test_an_empty_history_is_drawn() -> None:
    assert len(hypervolume_figure(()).data[0].x) == 0


@pytest.mark.parametrize("kind", ["matrix", "parallel", "3d"])
@pytest.mark.parametrize("narrow", [False, True])
def test_three_objectives_carry_every_candidate(kind: str, narrow: bool) -> None:
    front = ranked_front(sample_candidates(), tuple(Objective))
    selected = front.members[0].id
    figure = three_objectives_figure(front, kind, selected=selected, narrow=narrow)
    marks = [t for t in figure.data if t.customdata is not None]
    assert len(marks) == (1 if kind == "3d" else 3)
    for one in marks:
        assert {row[0] for row in one.customdata} == {c.id for c in front.measured}
        largest = int(np.argmax(one.marker.size))
        assert one.customdata[largest][0] == selected
    if kind != "3d":
        assert {t.type for t in figure.data} == {"scatter"}


def test_on_parallel_coordinates_up_is_better_on_every_axis() -> None:
    front = ranked_front(sample_candidates(), tuple(Objective))
    latency, size, accuracy = [
        {row[0]: y for row, y in zip(t.customdata, t.y, strict=True)}
        for t in three_objectives_figure(front, "parallel").data
        if t.customdata is not None
    ]
    everyone = front.measured
    assert max(latency, key=latency.get) == min(everyone, key=lambda c: c.latency.p50_ms).id
    assert max(size, key=size.get) == min(everyone, key=lambda c: c.artifact.size_bytes).id
    assert max(accuracy, key=accuracy.get) == max(everyone, key=lambda c: c.score.value).id


@pytest.mark.parametrize("kind", ["matrix", "parallel", "3d"])
def test_three_objectives_of_nothing_are_drawn(kind: str) -> None:
    assert three_objectives_figure(ranked_front([], tuple(Objective)), kind).layout.height


def series(candidates: tuple[Candidate, ...]):
    truth = np.repeat([0, 1, 2], 100)
    same = truth.copy()
    worse = truth.copy()
    worse[100:140] = 0  # 40 coats taken for shirts
    return [
        class_accuracy(candidates[0], same, truth, LABELS),
        class_accuracy(candidates[2], worse, truth, LABELS),
    ]


def test_classes_are_counted_one_by_one() -> None:
    first, second = series(sample_candidates())
    assert first.shares.tolist() == [1.0, 1.0, 1.0]
    assert second.shares.tolist() == [1.0, 0.6, 1.0]


def test_the_class_that_was_hurt_most_stands_on_top_and_names_are_escaped() -> None:
    figure = per_class_figure(series(sample_candidates()))
    assert figure.layout.yaxis.ticktext[-1] == "&lt;b&gt;coat&lt;/b&gt;"
    worse = next(t for t in figure.data if t.name == "INT8")
    assert worse.x[-1] == pytest.approx(60.0)
    assert worse.customdata[-1][3] == "40 fewer right than original, FP32"
    assert worse.customdata[-1][1].startswith("&lt;b&gt;coat")


def test_a_class_without_examples_is_left_out_of_the_plot() -> None:
    candidates = sample_candidates()
    truth = np.array([0, 0, 2])
    one = class_accuracy(candidates[0], truth, truth, LABELS)
    two = class_accuracy(candidates[2], np.array([0, 2, 2]), truth, LABELS)
    figure = per_class_figure([one, two])
    assert figure.layout.yaxis.ticktext[0] == "&lt;b&gt;coat&lt;/b&gt;"
    assert np.isnan(figure.data[1].x[0])
    assert figure.data[1].customdata[0][2] == "no examples"


def test_predictions_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="same shape"):
        class_accuracy(sample_candidates()[0], np.zeros(3, int), np.zeros(4, int), LABELS)


@pytest.mark.parametrize("narrow", [False, True])
def test_metrics_are_bars_with_their_change_in_words(narrow: bool) -> None:
    candidates = sample_candidates()
    figure = metrics_figure([candidates[0], candidates[6]], candidates[0], narrow=narrow)
    latency, size, lost = figure.data
    assert latency.text[1].endswith("10.9x faster")
    assert size.text == ("7.9 MB", "545 KB, 14.5x smaller")
    assert lost.text[1] == "0.69 points lost"
    assert lost.x[1] == pytest.approx(0.69)


def test_a_label_avoids_what_is_there_and_stays_inside() -> None:
    label = Label(lines=("some words",), x=100.0, y=50.0)
    free = place([label], [], width=200, height=100)[0]
    blocked = Box(left=0, top=0, right=200, bottom=48)
    ((_, dy),) = place([label], [blocked], width=200, height=100)
    assert abs(free[0]) < 100
    assert dy > 0


def test_the_label_of_a_line_touches_its_line() -> None:
    label = Label(lines=("limit",), x=200.0, y=50.0, along="leftwards")
    ((dx, dy),) = place([label], [], width=200, height=100)
    assert dx < 0
    assert abs(dy) == label.height / 2
