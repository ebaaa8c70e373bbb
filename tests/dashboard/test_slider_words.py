from __future__ import annotations

import re
from dataclasses import replace

import pytest

from dashboard.state.chosen import Chosen
from dashboard.state.settings import Settings
from dashboard.words.sliders import (
    Known,
    measured_ratios,
    precision_note,
    predicted_ratios,
    pruning_note,
)
from optim.recipe import (
    Activations,
    Criterion,
    Precision,
    Prune,
    PruningUnit,
    Quantize,
    Recipe,
    Scope,
    recipe_of,
)
from optim.search.predict import predict
from optim.task.task import load_task
from tests.dashboard.factories import candidate, sample_candidates

ROWS = sample_candidates()
INT8, INT4 = Quantize(), Quantize(precision=Precision.INT4)


def test_the_note_quotes_this_models_own_measured_ratios() -> None:
    known = measured_ratios(INT8, ROWS, ROWS[0])
    note = precision_note(INT8, known)
    assert note.startswith("INT8: here 3.4 times faster and 3.9 times smaller, measured.")


def test_a_pruned_candidate_says_nothing_of_the_precision_alone() -> None:
    pruned = [c for c in ROWS if c.recipe != Recipe(steps=(INT8,))]
    assert measured_ratios(INT8, pruned, ROWS[0]) is None


def test_the_very_same_options_are_quoted_before_similar_ones() -> None:
    corrected = Quantize(bias_correction=True)
    mine = candidate(Recipe(steps=(corrected,)), speedup=2.0, size_bytes=1_000_000)
    known = measured_ratios(corrected, (*ROWS, mine), ROWS[0])
    assert known is not None
    assert known.shrink == pytest.approx(7.9)
    unlike = measured_ratios(Quantize(activations=Activations.FLOAT), (*ROWS, mine), ROWS[0])
    assert unlike is None


def test_a_prediction_is_quoted_where_nothing_alike_is_measured_without_pruning() -> None:
    rows = [c for c in ROWS if c.recipe != Recipe(steps=(INT8,))]
    guess = predict(recipe_of(precision="int8"), rows)
    known = predicted_ratios(INT8, guess, rows, rows[0])
    assert known is not None
    assert "predicted" in precision_note(INT8, known)


def test_nothing_is_predicted_of_a_precision_that_nobody_has_measured() -> None:
    rows = [c for c in ROWS if c.recipe.precision != "int8"]
    guess = predict(recipe_of(precision="int8"), rows)
    assert predicted_ratios(INT8, guess, rows, rows[0]) is None


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8, Precision.INT4])
def test_the_general_sentence_invents_no_ratio(precision: Precision) -> None:
    note = precision_note(Quantize(precision=precision))
    assert not re.search(r"\d+(\.\d+)? times", note)
    assert "measured" not in note
    assert "byte" in note


def test_the_note_says_what_the_engine_computes_in() -> None:
    assert "FP32 on a CPU: not faster" in precision_note(Quantize(precision=Precision.FP16))
    assert "as fast as INT8" in precision_note(INT4)
    only_weights = replace(INT4, activations=Activations.FLOAT)
    assert "computes it in FP32: not faster" in precision_note(only_weights)
    assert "ONNX Runtime" not in precision_note(INT4, engine="other")
    assert precision_note(None).startswith("FP32: the network as it was trained")


def test_what_is_measured_is_not_contradicted_by_what_is_usual() -> None:
    known = Known(speedup=0.94, shrink=6.7, source="measured")
    for step in (INT4, Quantize(activations=Activations.INT8), Quantize(precision=Precision.FP16)):
        note = precision_note(step, known)
        assert "as fast as INT8" not in note
        assert ": slower" not in note
        assert "ONNX Runtime" in note


def test_ratios_below_one_are_told_as_what_they_are() -> None:
    known = Known(speedup=0.8, shrink=1.0, source="measured")
    assert known.words() == "here 1.2 times slower and as large, measured"


SHIPPED = load_task("fashion-resnet")
TASK = replace(SHIPPED, card=replace(SHIPPED.card, pruning=None))
BEST = replace(TASK, card=replace(TASK.card, pruning=Prune(ratio=0.5, criterion="l2", epochs=1)))


def test_pruning_as_usual_needs_no_note() -> None:
    assert pruning_note(Settings(prune=50), TASK) == ""
    assert pruning_note(Settings(prune=0), BEST) == ""
    assert pruning_note(Settings(prune=0, blocks=2), BEST) == ""


def test_the_best_recipe_found_for_the_model_is_named() -> None:
    assert pruning_note(Settings(prune=50), BEST) == (
        "L2 magnitude, same share in every layer, 1 epoch from the original's answers: the best "
        "found for this model on validation."
    )


def test_another_choice_is_not_called_the_best_found() -> None:
    chosen = Chosen.of("prune", criterion=Criterion.TAYLOR, scope=Scope.GLOBAL, rounds=2)
    own = Settings(prune=50, epochs=4, chosen=chosen)
    for task in (TASK, BEST):
        assert pruning_note(own, task) == (
            "Taylor, by the loss, least important of all, in 2 rounds, 4 epochs from the "
            "original's answers: as you chose it."
        )


def test_a_share_of_macs_is_told_in_channels_too() -> None:
    assert pruning_note(Settings(prune=75, unit=PruningUnit.MACS), TASK) == (
        "75 % fewer multiply-accumulates: about 50 % of the channels."
    )
