from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dashboard.charts import PLOT_CONFIG, Pending, pareto_figure, theme
from dashboard.charts.axes import y_axis
from dashboard.charts.pareto.points import staircase_of
from dashboard.charts.theme import METHOD_SYMBOLS
from optim.candidate import Candidate
from optim.jobs.job import JobState
from optim.recipe import recipe_of
from optim.search.pareto import Front, Limits, Objective, ranked_front
from optim.search.predict import Prediction
from optim.task.metric import MEAN_ABSOLUTE_ERROR
from tests.dashboard.factories import candidate, control, many_candidates
from tests.dashboard.figures import clickable, labels, legend, listed, names, trace

ALL = tuple(Objective)


@pytest.mark.parametrize("x", ["latency", "size"])
def test_the_staircase_is_stepped_and_no_drawn_point_dominates_one_of_its_steps(
    front: Front, x: str
) -> None:
    figure = pareto_figure(front, x=x)
    steps = trace(figure, "staircase")
    assert steps.line.shape == "hv"
    drawn = [
        point
        for t in figure.data
        if t.customdata is not None
        for point in zip(t.x, t.y, strict=True)
    ]
    for sx, sy in zip(steps.x, steps.y, strict=True):
        assert not any(px <= sx and py >= sy and (px, py) != (sx, sy) for px, py in drawn)
    assert list(steps.x) == sorted(steps.x)
    assert list(steps.y) == sorted(steps.y)


def test_every_measured_candidate_is_clickable_by_its_id(front: Front) -> None:
    assert clickable(pareto_figure(front)) == {c.id for c in front.measured}


def test_symbol_and_colour_say_the_method(front: Front) -> None:
    members = trace(pareto_figure(front), "front")
    by_id = {c.id: c for c in front.members}
    symbols = listed(members.marker.symbol, len(members.x))
    colours = listed(members.marker.color, len(members.x))
    for row, symbol, colour in zip(members.customdata, symbols, colours, strict=True):
        recipe = by_id[row[0]].recipe
        method = {
            (False, True): "quantized",
            (True, False): "pruned",
            (True, True): "pruned + quantized",
        }[recipe.pruning_ratio > 0, recipe.precision != "fp32"]
        assert symbol == METHOD_SYMBOLS[method]
        assert colour == theme(False).methods[method]


def test_the_original_is_the_largest_mark_a_star_with_guides_and_a_label(front: Front) -> None:
    figure = pareto_figure(front)
    star = trace(figure, "baseline")
    assert star.marker.symbol == "star"
    assert star.marker.size[0] > max(trace(figure, "front").marker.size)
    assert any("original" in text for text in labels(figure))
    guides = [s for s in figure.layout.shapes if s.type == "line" and s.line.dash == "dot"]
    assert {(s.xref, s.yref) for s in guides} == {("paper", None), (None, "paper")}


def test_no_mark_under_the_pointer_is_smaller_or_later_than_the_heart_of_the_star(
    front: Front, prediction: Prediction
) -> None:
    """Plotly gives a click to the smallest mark under it, and to the last of equal ones."""
    figure = pareto_figure(front, prediction=prediction, selected=front.measured[0].id)
    marks = [t for t in figure.data if t.mode and "markers" in t.mode and t.x[0] is not None]
    heart = marks[-1]
    assert heart.customdata[0][0] == front.baseline.id
    assert (heart.x, heart.y) == (trace(figure, "baseline").x, trace(figure, "baseline").y)
    assert heart.marker.size <= min(np.min(t.marker.size) for t in marks)


def test_a_control_is_an_open_symbol_above_the_pruned_points(front: Front) -> None:
    order = [t.name for t in pareto_figure(front).data]
    figure = pareto_figure(front)
    assert order.index("control") > order.index("front") > order.index("dominated")
    assert trace(figure, "control").marker.symbol.endswith("-open")


def test_beaten_points_are_faint_small_and_can_be_hidden(front: Front) -> None:
    figure = pareto_figure(front)
    beaten = trace(figure, "dominated")
    assert beaten.marker.opacity == 0.35
    hidden = pareto_figure(front, show_dominated=False)
    assert "dominated" not in names(hidden)
    assert clickable(hidden) == {c.id for c in front.measured} - {c.id for c in front.dominated}


def test_points_outside_the_limits_are_crosses_whose_hover_names_the_limit(
    candidates: tuple[Candidate, ...],
) -> None:
    figure = pareto_figure(ranked_front(candidates, ALL, Limits(max_score_drop=0.01)))
    crosses = trace(figure, "out of limits")
    assert crosses.marker.symbol == "x"
    assert all("your limit is 1" in row[-1] for row in crosses.customdata)
    assert "your limit: 1 point lost" in labels(figure)


def test_a_limit_is_a_line_with_its_far_side_shaded(candidates: tuple[Candidate, ...]) -> None:
    limits = Limits(max_score_drop=0.01, max_latency_ms=1.0, max_size_bytes=3e6)
    figure = pareto_figure(candidates, limits=limits)
    lines = [s for s in figure.layout.shapes if s.line.dash == "dash"]
    shades = [s for s in figure.layout.shapes if s.type == "rect"]
    assert [s.y0 for s in lines if s.xref == "paper"] == [pytest.approx(93.0)]
    assert {s.x0 for s in lines if s.yref == "paper"} == {1.0}
    assert any(s.y1 == pytest.approx(93.0) and s.y0 < 0 for s in shades)
    assert any(s.x0 == 1.0 and s.x1 > 1000 for s in shades)
    of_size = pareto_figure(candidates, x="size", limits=limits)
    assert "your limit: 3 MB" in labels(of_size)
    assert {s.x0 for s in of_size.layout.shapes if s.line.dash == "dash"} >= {3.0}


def test_error_bars_are_the_spread_of_runs_and_the_interval_of_accuracy(front: Front) -> None:
    star = trace(pareto_figure(front), "baseline")
    latency, accuracy = front.baseline.latency, front.baseline.score
    low, high = latency.spread_ms
    assert star.error_x.array[0] == pytest.approx(high - latency.p50_ms)
    assert star.error_x.arrayminus[0] == pytest.approx(latency.p50_ms - low)
    bottom, top = accuracy.interval
    assert star.error_y.array[0] == pytest.approx(100 * (top - accuracy.value))
    assert star.error_y.arrayminus[0] == pytest.approx(100 * (accuracy.value - bottom))
    assert trace(pareto_figure(front, x="size"), "baseline").error_x.array is None


def test_the_axis_is_logarithmic_above_a_factor_of_20_and_can_be_switched(front: Front) -> None:
    assert pareto_figure(front).layout.xaxis.type == "log"
    assert pareto_figure(front, log_x=False).layout.xaxis.type == "linear"
    close = ranked_front(front.members[-3:], ALL)
    assert pareto_figure(close).layout.xaxis.type == "linear"


def test_the_predicted_point_is_hollow_with_its_doubt_as_a_box(
    front: Front, prediction: Prediction
) -> None:
    figure = pareto_figure(front, prediction=prediction)
    hollow = trace(figure, "predicted")
    assert "open" in hollow.marker.symbol
    assert hollow.customdata[0][0] == ""
    assert "predicted, not measured" in hollow.customdata[0][1]
    box = next(s for s in figure.layout.shapes if s.type == "rect")
    assert (box.x0, box.x1) == prediction.latency_interval
    assert box.y0 == pytest.approx(100 * prediction.score_interval[0])
    assert any("your sliders" in text for text in labels(figure))


def test_running_and_failed_candidates_are_hollow_and_clickable(
    front: Front, prediction: Prediction
) -> None:
    pending = [
        Pending(candidate_id="a", words="one", state=JobState.RUNNING, prediction=prediction),
        Pending(candidate_id="b", words="two", state=JobState.FAILED, prediction=prediction),
    ]
    shown = trace(pareto_figure(front, pending=pending), "pending")
    assert [row[0] for row in shown.customdata] == ["a", "b"]
    assert all(symbol.endswith("-open") for symbol in shown.marker.symbol)
    assert "two (failed)" in shown.customdata[1][1]


def test_the_recommended_has_a_ring_and_a_label_with_its_figures(front: Front) -> None:
    choice = next(c for c in front.members if c.words() == "prune 50 % of channels, INT8")
    figure = pareto_figure(front, recommended=choice.id, selected=choice.id)
    for ring in (trace(figure, "recommended"), trace(figure, "selected")):
        assert ring.marker.symbol == "circle-open"
        assert ring.hoverinfo == "skip"
        assert ring.y[0] == pytest.approx(93.31)
    text = next(text for text in labels(figure) if "recommended" in text)
    assert "10.9x faster, 14.5x smaller" in text
    assert "0.69 points lost" in text


def test_an_unknown_id_gets_no_ring(front: Front) -> None:
    figure = pareto_figure(front, recommended="<script>", selected="nobody")
    assert {"recommended", "selected"}.isdisjoint(names(figure))


def test_iso_lines_are_off_unless_asked_for(front: Front) -> None:
    plain, lined = pareto_figure(front), pareto_figure(front, iso_lines=True)
    assert "4x speed" not in labels(plain)
    assert {"4x speed", "2x speed", "1x"} <= set(labels(lined))
    xs = [s.x0 for s in lined.layout.shapes if s.yref == "paper"]
    base = front.baseline.latency.p50_ms
    assert {base, base / 2, base / 4} <= set(xs)


def test_the_hypervolume_shows_its_reference_point_and_its_number(front: Front) -> None:
    figure = pareto_figure(front, show_hypervolume=True)
    corner = trace(figure, "reference")
    assert corner.x[0] == pytest.approx(2 * front.baseline.latency.p50_ms)
    assert corner.y[0] == pytest.approx(89.0)
    area = trace(figure, "hypervolume")
    assert max(area.x) == corner.x[0]
    assert min(area.y) == corner.y[0]
    assert any(text.startswith("hypervolume 4.8") for text in labels(figure))
    assert "hypervolume" not in names(pareto_figure(front))


def test_marker_size_grows_with_the_third_objective(front: Front) -> None:
    members = trace(pareto_figure(front), "front")
    sizes = dict(zip([row[0] for row in members.customdata], members.marker.size, strict=True))
    bytes_of = {c.id: c.artifact.size_bytes for c in front.members}
    ranked = sorted(sizes, key=lambda key: bytes_of[key])
    assert [sizes[key] for key in ranked] == sorted(sizes.values())
    assert "bigger = larger file" in legend(pareto_figure(front))
    assert "bigger = slower" in legend(pareto_figure(front, x="size"))


def test_identical_points_share_one_marker_with_a_count(
    candidates: tuple[Candidate, ...],
) -> None:
    twin = replace(candidates[2], id="twin")
    figure = pareto_figure([*candidates, twin])
    members = trace(figure, "front")
    assert "2 alike" in members.text
    at = list(members.text).index("2 alike")
    assert members.customdata[at][2] == "INT8 = INT8"


def test_the_view_is_kept_while_candidates_come_in(candidates: tuple[Candidate, ...]) -> None:
    first, later = pareto_figure(candidates[:3]), pareto_figure(candidates)
    assert first.layout.uirevision == later.layout.uirevision == "pareto-latency"


def test_a_click_does_not_fade_the_other_points(front: Front) -> None:
    for t in pareto_figure(front).data:
        if t.customdata is not None:
            assert t.unselected.marker.opacity == t.marker.opacity


def test_very_deep_points_are_counted_instead_of_squeezing_the_rest(front: Front) -> None:
    deep = candidate(recipe_of(pruning_ratio=0.9), speedup=40.0, lost=7_000)
    figure = pareto_figure([*front.measured, deep])
    assert figure.layout.yaxis.range[0] > 75
    assert any("1 more below, down to 24.0 %" in text for text in labels(figure))


def test_a_hopeless_prediction_stays_visible_without_squeezing_the_rest(
    front: Front, prediction: Prediction
) -> None:
    hopeless = replace(prediction, score=0.38, score_interval=(0.2, 0.5))
    figure = pareto_figure(front, prediction=hopeless)
    low, high = figure.layout.yaxis.range
    shown = trace(figure, "predicted")
    assert low > 75
    assert low < shown.y[0] < high
    assert shown.marker.symbol == "triangle-down-open"
    assert any("far below" in text for text in labels(figure))


def test_only_svg_is_used(front: Front) -> None:
    for one in (pareto_figure(front), pareto_figure(many_candidates(1_000))):
        assert {t.type for t in one.data} == {"scatter"}


def test_a_thousand_candidates_are_all_drawn() -> None:
    candidates = many_candidates(1_000)
    figure = pareto_figure(ranked_front(candidates, (Objective.LATENCY, Objective.SCORE)))
    assert clickable(figure) == {c.id for c in candidates}
    assert trace(figure, "dominated").error_y.array is None


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("narrow", [False, True])
def test_labels_stay_inside_the_plot_and_do_not_cover_each_other(
    front: Front, prediction: Prediction, dark: bool, narrow: bool
) -> None:
    choice = next(c for c in front.members if c.words() == "prune 50 % of channels, INT8")
    figure = pareto_figure(
        front,
        prediction=prediction,
        recommended=choice.id,
        limits=Limits(max_score_drop=0.02),
        narrow=narrow,
        dark=dark,
    )
    layout = figure.layout
    width = 290 if narrow else 640
    height = layout.height - layout.margin.t - layout.margin.b
    boxes = []
    for a in layout.annotations:
        if a.bgcolor is None or a.yref == "paper":
            continue
        (x0, x1), (y0, y1) = layout.xaxis.range, layout.yaxis.range
        dx, dy = (a.ax, a.ay) if a.showarrow is not False else (a.xshift, -a.yshift)
        centre = (a.x - x0) / (x1 - x0) * width + dx, (y1 - a.y) / (y1 - y0) * height + dy
        lines = a.text.replace("<b>", "").replace("</b>", "").split("<br>")
        half = 6.3 * max(map(len, lines)) / 2, 8.0 * len(lines)
        boxes.append((centre[0] - half[0], centre[1] - half[1], *np.add(centre, half)))
    assert len(boxes) == 4
    for i, (left, top, right, bottom) in enumerate(boxes):
        assert left > -2
        assert top > -2
        assert right < width + 2
        assert bottom < height + 2
        for other in boxes[:i]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_the_plot_fills_the_height_that_a_page_gives_it(front: Front) -> None:
    layout = pareto_figure(front, height=380).layout
    assert layout.height == 380
    assert layout.height - layout.margin.t - layout.margin.b > 250


def test_the_legend_lists_only_what_is_drawn(front: Front) -> None:
    assert legend(pareto_figure(front)) == [
        "front",
        "quantized",
        "pruned",
        "both",
        "from scratch",
        "bigger = larger file",
    ]
    assert legend(pareto_figure(front.baseline and [front.baseline])) == []


def test_members_behind_the_staircase_are_still_drawn_as_members(front: Front) -> None:
    on_steps = {p.candidate.id for p in staircase_of(front, "latency")}
    behind = {c.id for c in front.members} - on_steps
    shown = {row[0] for row in trace(pareto_figure(front), "front").customdata}
    assert behind & shown


def test_a_control_beyond_the_limits_is_still_seen_as_a_control() -> None:
    small = candidate(control(0.75), speedup=14.0, lost=500)
    figure = pareto_figure([candidate(recipe_of()), small], limits=Limits(max_score_drop=0.01))
    assert trace(figure, "control").customdata[0][0] == small.id


def test_the_configuration_has_no_cloud_button() -> None:
    assert PLOT_CONFIG["showSendToCloud"] is False
    assert PLOT_CONFIG["displaylogo"] is False


def test_where_lower_is_better_the_axis_is_turned_so_that_up_is_better() -> None:
    axis = y_axis(MEAN_ABSOLUTE_ERROR, [0.2, 0.5], baseline=0.2, n=40)
    assert axis.title == "Mean absolute error, 40 examples (lower is better ↑)"
    assert axis.low > 0.5 > 0.2 > axis.high
    assert axis.share(0.2) > axis.share(0.5)
    assert axis.layout()["range"] == [axis.low, axis.high]
