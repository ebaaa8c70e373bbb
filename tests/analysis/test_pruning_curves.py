"""What single cuts do, on a tiny network: the points are those that pruning really gives."""

import json

import pytest
import torch
from torch import nn

from optim.analysis import layer_cost, pruning_curves
from optim.analysis.analyses import analyse, known_analysis
from optim.analysis.pruning_curves import (
    CurvePoint,
    LayerCurve,
    PruningCurves,
    answer_examples,
    redundancy_words,
)
from optim.compress.pruning.cut_alone import widths, with_norms
from optim.compress.pruning.find_groups import channel_groups
from optim.compress.pruning.groups import ChannelGroup
from optim.compress.pruning.prune import prune
from optim.compress.pruning.ratios import channels_to_keep
from optim.compress.training.evaluation import logits_of
from optim.devices.target import Target
from optim.errors import RefusedError
from optim.pipeline.make import make_candidate
from optim.recipe import Precision, Prune, Quantize, QuantizeAware, Recipe
from optim.store.analyses import AnalysisKind
from optim.store.results import Results
from tests.small_task import small_task


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return small_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return Results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def curves(task, results):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layer_cost, "PASSES", 1)
        patch.setattr(layer_cost, "RUNS", 3)
        whole = make_candidate(results, task, Recipe())
        return analyse(results, task, whole, AnalysisKind.PRUNING, Target())


def test_every_group_has_a_curve_from_whole_to_one_block(task, curves):
    able = [g for g in channel_groups(task.network(), task.input_shape) if g.prunable]
    assert [curve.layer for curve in curves.curves] == [group.name for group in able]
    for curve, group in zip(curves.curves, able, strict=True):
        assert curve.layers == group.layers
        assert [p.kept for p in curve.points] == list(widths(group))
        assert (curve.points[0].kept, curve.points[-1].kept) == (group.channels, 16)
        assert curve.points[0].ratio == 0
        assert len(curve.points) <= 6


@pytest.mark.parametrize("channels", [8, 24, 64, 192, 1280])
def test_each_width_is_what_its_ratio_gives_in_a_recipe(channels):
    found = widths(ChannelGroup(name="a", layers=("a",), channels=channels, order=0))
    assert found[0] == channels
    assert 2 <= len(found) <= 6
    for kept in found:
        ratio = round(1 - kept / channels, 6)
        assert Prune(ratio=0, layers={"a": ratio})
        assert channels_to_keep(channels, ratio, 16) == kept


def test_whole_points_are_the_whole_network(task, curves):
    split = task.split("validation").take(curves.n)
    right = (logits_of(task.network(), split.inputs).argmax(1) == split.targets).mean()
    assert curves.score == pytest.approx(right, abs=1e-6)
    for curve in curves.curves:
        first = curve.points[0]
        assert (first.score, first.loss) == (curves.score, curves.loss)
        assert first.latency_ms == pytest.approx(curves.latency_ms)


def test_the_narrowest_network_is_timed_with_the_whole_one(curves):
    assert [ends.precision for ends in curves.ends] == [Precision.FP32, Precision.INT8]
    for ends in curves.ends:
        assert 0 < ends.least_sum_ms < ends.whole_sum_ms
        assert min(ends.whole_ms, ends.least_ms) > 0


def test_a_point_is_what_a_recipe_with_its_ratio_gives(task, results, curves):
    curve = curves.curves[2]
    point = curve.points[-1]
    step = Prune(ratio=0, layers={curve.layer: point.ratio}, epochs=0)
    calibration = task.split("calibration")
    network = prune(task.network(), step, examples=calibration, seed=0, original=task.network())
    network = with_norms(network, calibration.inputs[: pruning_curves.NORM_EXAMPLES])
    split = task.split("validation").take(curves.n)
    logits = torch.from_numpy(logits_of(network, split.inputs))
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(split.targets))
    assert point.loss == pytest.approx(float(loss), rel=1e-4)
    made = make_candidate(results, task, Recipe(steps=(step,)))
    assert made.facts is not None
    assert (made.facts.macs, made.facts.parameters) == (point.macs, point.parameters)


def test_layers_say_whom_they_feed(curves):
    by_name = {curve.layer: curve for curve in curves.curves}
    assert by_name["blocks.0.main.0"].feeds == ("blocks.0.main.3",)
    joined = by_name["blocks.0.main.6"]
    assert set(joined.layers) == {"blocks.0.main.6", "blocks.0.shortcut.0"}
    assert set(joined.feeds) == {"blocks.1.main.0", "blocks.1.shortcut.0"}


def test_curves_are_kept_and_go_through_json(task, results, curves):
    assert PruningCurves.from_dict(json.loads(json.dumps(curves.to_dict()))) == curves
    whole = make_candidate(results, task, Recipe())
    kept = known_analysis(results, whole.id, AnalysisKind.PRUNING, Target().fingerprint)
    assert kept == curves


def test_a_candidate_trained_for_one_precision_is_refused(task, results):
    steps = (QuantizeAware(weight_bits=8, epochs=0), Quantize())
    candidate = make_candidate(results, task, Recipe(steps=steps))
    with pytest.raises(RefusedError, match="pruned before that"):
        analyse(results, task, candidate, AnalysisKind.PRUNING, Target())


def test_heavy_networks_are_answered_on_fewer_examples():
    assert answer_examples(1000, 10) == pruning_curves.MOST_EXAMPLES
    assert answer_examples(10**12, 50) == pruning_curves.FEWEST_EXAMPLES
    assert answer_examples(150_000_000, 36) == 4e12 // (150_000_000 * 36) - 256


def line(layer, *accuracies):
    """A curve with even steps."""
    n = len(accuracies)
    points = tuple(
        CurvePoint(kept=64 - 64 // n * i, ratio=i / n, score=a, loss=1 - a, parameters=1, macs=1)
        for i, a in enumerate(accuracies)
    )
    return LayerCurve(layer=layer, layers=(layer,), channels=64, points=points)


def test_redundant_layers_are_named_with_what_can_leave():
    found = PruningCurves(
        curves=(line("a", 0.9, 0.5, 0.9, 0.9), line("b", 0.9, 0.9, 0.895, 0.2),
                line("c", 0.9, 0.9, 0.9, 0.9)),
        score=0.9, loss=0.1, n=100,
    )  # fmt: skip
    assert [curve.layer for curve in found.redundant(0.01)] == ["c", "b"]
    assert redundancy_words(found) == (
        "Redundant, because so much of each alone can be pruned within 1.00 points: "
        "c (75.00 %) and b (50.00 %)."
    )
    assert "No layer can lose half" in redundancy_words(
        PruningCurves(curves=(line("a", 0.9, 0.5),), score=0.9, loss=0.1, n=5)
    )
