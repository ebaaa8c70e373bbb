import json
from functools import partial

import pytest

from optim.analysis import diagnosis, remedies
from optim.analysis.remedies import Remedy
from optim.engines.onnxruntime.explainer import EXPLAINER
from optim.engines.profile import FloatReason, OperatorTime, Profile
from optim.recipe import (
    Activations,
    Fuse,
    MixedPrecision,
    Precision,
    Quantize,
    Recipe,
    ReplaceActivation,
)

diagnose = partial(diagnosis.diagnose, explainer=EXPLAINER)
slow_start = partial(remedies.slow_start, float_stops_before=EXPLAINER.float_stops_before)
INT8 = Recipe(steps=(Quantize(precision=Precision.INT8),))
NO_KERNEL = "ONNX Runtime has no INT8 kernel for HardSwish"


def conv(layer, time, precision="int8", reason=""):
    kernel = "QLinearConv" if precision == "int8" else "Conv"
    return OperatorTime(
        kernel=kernel,
        layer=layer,
        precision=precision,
        time_ms=time,
        reason=reason,
        operator="Conv",
    )


def hard_swish(time, layer="a"):
    return OperatorTime(
        kernel="HardSigmoid", layer=layer, precision="fp32", time_ms=time, reason=NO_KERNEL,
        operator="HardSwish", code=FloatReason.NO_KERNEL,
    )  # fmt: skip


def conversion(time, operator="HardSwish", kernel="QuantizeLinear"):
    return OperatorTime(
        kernel=kernel, layer="", precision="", time_ms=time, overhead=True, operator=operator
    )


def profile(*operators):
    return Profile(operators=operators, total_ms=sum(o.time_ms for o in operators), runs=60)


GATED = profile(
    conv("a", 0.3), conversion(0.1), hard_swish(0.2), conversion(0.1),
    conv("b", 0.09), conversion(0.1), hard_swish(0.1, "b"), conversion(0.01),
)  # fmt: skip
PARENT = profile(conv("a", 0.25, "fp32"), conv("b", 0.25, "fp32"))


def test_what_stays_in_float_is_counted_and_timed_with_its_conversions():
    assert diagnose(GATED, recipe=INT8).sentences == (
        "INT8 kernels take 39 % of the time, conversions and changes of layout 31 %.",
        "2 HardSwish stay in FP32 because ONNX Runtime has no INT8 kernel for them; they and the 4 "
        "conversions around them take 61 % of the time.",
    )


def test_one_operator_is_told_in_the_singular():
    found = profile(conv("a", 0.8), hard_swish(0.1), conversion(0.1))
    assert diagnose(found, recipe=INT8).sentences[1] == (
        "1 HardSwish stays in FP32 because ONNX Runtime has no INT8 kernel for it; it and the 1 "
        "conversion around it take 20 % of the time."
    )


def test_a_slower_file_is_explained_against_its_parent():
    assert diagnose(GATED, PARENT, recipe=INT8, speedup=0.5).sentences[0] == (
        "It is slower than in FP32: 0.50 times as fast. By the profiles, layers gain 0.11 ms, "
        "other operators lose 0.30 ms and conversions and changes of layout lose 0.31 ms. INT8 "
        "kernels take 39 % of the time, conversions and changes of layout 31 %."
    )


@pytest.mark.parametrize("parent", [None, PARENT])
def test_a_slower_file_is_explained_even_if_nothing_stands_out(parent):
    plain = profile(conv("a", 0.3), conv("b", 0.3))
    first = diagnose(plain, parent, recipe=INT8, speedup=0.8).sentences[0]
    assert first.startswith("It is slower than in FP32: 0.80 times as fast.")


def test_a_faster_file_says_so_first():
    plain = profile(conv("a", 0.1), conv("b", 0.1))
    assert diagnose(plain, PARENT, recipe=INT8, speedup=2.5).sentences == (
        "It is 2.50 times as fast as in FP32. INT8 kernels take 100 % of the time, conversions and "
        "changes of layout 0 %.",
    )


def test_profiles_alone_never_say_that_a_file_is_faster_or_slower():
    """Taking a profile costs each kernel a little: 27.3 against 28.3 us was told as 0.75 times."""
    first = diagnose(GATED, PARENT, recipe=INT8).sentences[0]
    assert first.startswith("Whether it is faster than in FP32 is known once both are timed.")


def test_a_layer_slower_in_int8_is_named_and_may_stay_in_float():
    found = diagnose(GATED, PARENT, recipe=INT8)
    assert "1 layer is slower in INT8 than in FP32: a (0.300 ms, in FP32 0.250)." in found.sentences
    kept = Recipe(steps=(*INT8.steps, MixedPrecision(layers=(("a", Precision.FP32),))))
    assert Remedy(
        words="Try leaving this layer in FP32: a. The conversions it takes may cost more than it "
        "wins.",
        recipe=kept,
    ) in found.remedies  # fmt: skip


def test_layers_kept_before_stay_kept():
    recipe = Recipe(steps=(*INT8.steps, MixedPrecision(layers=(("head", Precision.FP32),))))
    recipes = [r.recipe for r in diagnose(GATED, PARENT, recipe=recipe).remedies if r.recipe]
    kept = MixedPrecision(layers=(("a", Precision.FP32), ("head", Precision.FP32)))
    assert Recipe(steps=(*INT8.steps, kept)) in recipes


def test_a_start_that_is_slower_as_a_whole_may_stay_in_float():
    own = profile(
        conversion(0.1, ""), conv("a", 0.2), hard_swish(0.1), conv("b", 0.3), conv("c", 0.1)
    )
    parent = profile(
        conv("a", 0.1, "fp32"),
        conv("b", 0.35, "fp32"),
        conversion(0.05, ""),
        conv("c", 0.5, "fp32"),
    )
    layers, lead = slow_start(own, parent)
    assert layers == ("a",)  # c makes up for it
    assert lead == pytest.approx(0.3)
    assert slow_start(parent, own) == (("a", "b", "c"), pytest.approx(0.2))
    longer = profile(*own.operators[:3], conv("b", 0.5), conv("c", 0.1))
    assert Remedy(
        words="Try leaving the first 2 layers in FP32, up to b: by the profiles FP32 is 0.40 of "
        "1.00 ms ahead there.",
        recipe=Recipe(
            steps=(
                *INT8.steps,
                MixedPrecision(layers=(("a", Precision.FP32), ("b", Precision.FP32))),
            )
        ),
    ) in diagnose(longer, parent, recipe=INT8).remedies  # fmt: skip


def test_a_layer_before_a_maximum_is_no_place_to_leave_float():
    pool = OperatorTime(kernel="NhwcMaxPool", layer="a", precision="int8", time_ms=0.01)
    own = profile(conv("a", 0.5), pool, conv("b", 0.1))
    parent = profile(conv("a", 0.1, "fp32"), conv("b", 0.6, "fp32"))
    found = diagnose(own, parent, recipe=INT8)
    assert found.sentences[-1].startswith("1 layer is slower in INT8 than in FP32: a")
    assert found.remedies == ()
    assert slow_start(own, parent) == ((), 0.0)


def test_activations_without_kernel_may_be_replaced_once():
    words = "Try ReLU in place of HardSwish, with fine-tuning."
    replaced = Recipe(steps=(ReplaceActivation(), *INT8.steps))
    assert Remedy(words=words, recipe=replaced) in diagnose(GATED, recipe=INT8).remedies
    assert words not in [r.words for r in diagnose(GATED, recipe=replaced).remedies]


def test_a_remedy_tells_what_it_gave_where_that_was_measured():
    replaced = Recipe(steps=(ReplaceActivation(), *INT8.steps))
    found = diagnose(GATED, recipe=INT8, measured={replaced.fingerprint: 1.8})
    assert [r.speedup for r in found.remedies if r.recipe == replaced] == [1.8]
    assert [r.speedup for r in found.remedies if r.recipe != replaced] == [None, None]


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        (Quantize(activations=Activations.INT8), Quantize()),
        (Quantize(activations=Activations.DYNAMIC), Quantize()),
        (Quantize(precision=Precision.FP16), Quantize()),
        (
            Quantize(precision=Precision.INT4, activations=Activations.FLOAT),
            Quantize(precision=Precision.INT4),
        ),
    ],
)
def test_other_activations_may_become_unsigned(step, wanted):
    reason = "activations are not quantized in this file"
    found = diagnose(profile(conv("a", 1, "fp32", reason)), recipe=Recipe(steps=(step,)))
    assert found.remedies[0].recipe == Recipe(steps=(wanted,))
    assert found.sentences[1] == f"1 Conv stays in FP32 ({reason}); it takes 100 % of the time."


def test_changes_of_layout_are_the_engines_own():
    found = profile(conv("a", 0.9), conversion(0.1, "", "ReorderOutput"))
    assert diagnose(found, recipe=INT8).sentences[1] == (
        "Input and changes of layout (1 ReorderOutput) take 10 % of the time."
    )


def test_batch_norms_in_a_float_file_may_be_folded():
    norm = OperatorTime(kernel="BatchNormalization", layer="", precision="fp32", time_ms=1)
    found = diagnose(profile(norm), recipe=Recipe())
    assert [r.recipe for r in found.remedies] == [Recipe(steps=(Fuse(),))]


def test_a_float_file_without_trouble_has_nothing_to_say():
    found = diagnose(PARENT, recipe=Recipe())
    assert (found.sentences, found.remedies) == ((), ())


def test_a_diagnosis_is_plain_data():
    found = diagnose(GATED, PARENT, recipe=INT8)
    data = json.loads(json.dumps(found.to_dict()))
    assert data["sentences"] == list(found.sentences)
    recipes = [r["recipe"] and Recipe.from_dict(r["recipe"]) for r in data["remedies"]]
    assert recipes == [r.recipe for r in found.remedies]


def test_an_engine_that_says_nothing_of_itself_gets_neutral_sentences_and_remedies():
    found = diagnosis.diagnose(GATED, PARENT, recipe=INT8, explainer=None)
    assert "because the engine has no INT8 kernel for them" in found.sentences[1]
    told = " ".join((*found.sentences, *(remedy.words for remedy in found.remedies)))
    assert "ONNX Runtime" not in told
    assert "OpenVINO" not in told
    assert any(r.recipe and r.recipe.step(ReplaceActivation) for r in found.remedies)


def test_a_profile_kept_before_reasons_had_codes_leads_to_the_same_remedies():
    data = json.loads(json.dumps(GATED.to_dict()))
    for row in data["operators"]:
        del row["code"]
    old = Profile.from_dict(data)
    assert old == GATED
    assert diagnose(old, recipe=INT8) == diagnose(GATED, recipe=INT8)
