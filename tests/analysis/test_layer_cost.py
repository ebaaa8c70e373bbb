"""Times of single layers: what is timed and how it is looked up; the clock itself is a stub."""

import json
from dataclasses import asdict

import numpy as np
import onnx
import pytest

from optim.analysis import layer_cost
from optim.analysis.layer_cost import Ends, LayerTimes, kernel_times, measure_layers, network_ms
from optim.analysis.layer_pieces import Piece, input_shape, layers_file
from optim.compress.pruning.layer_shapes import LayerShape
from optim.devices.target import Target
from optim.engines.onnxruntime.session import time_kernels
from optim.recipe import Precision

SPACE = {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "size": (8, 8)}
CONV = LayerShape(
    layer="conv",
    inputs=32,
    outputs=48,
    positions=64,
    reads=(("a", 32),),
    writes=(("b", 48),),
    **SPACE,
)
TWIN = LayerShape(
    layer="twin",
    inputs=32,
    outputs=48,
    positions=64,
    reads=(("c", 32),),
    writes=(("b", 48),),
    **SPACE,
)
DEPTHWISE = LayerShape(
    layer="dw", inputs=48, outputs=48, groups=48, positions=64,
    reads=(("b", 48),), writes=(("b", 48),), **SPACE,
)  # fmt: skip
GROUPED = LayerShape(layer="grouped", inputs=32, outputs=48, groups=4, positions=64, **SPACE)
SERIES = LayerShape(
    layer="series", inputs=6, outputs=32, kernel=(7,), stride=(2,), padding=(3,), dilation=(1,),
    size=(64,), positions=32,
)  # fmt: skip
HEAD = LayerShape(layer="head", inputs=48, outputs=10, reads=(("b", 48),))
ROWS = LayerShape(layer="rows", inputs=48, outputs=16, size=(9,), positions=9, bias=False)
NORM = LayerShape(layer="norm", inputs=48, outputs=48, norm=True)
CHOICES = {"a": (1.0, 0.5), "b": (1.0, 2 / 3, 1 / 3), "c": (1.0, 0.5)}


def by_weights(model, x, runs):
    """A clock on which an operator takes as long as it has weights, and INT8 a quarter of that."""
    read = onnx.load_model_from_string(model)
    sizes = {tensor.name: np.prod(tensor.dims) for tensor in read.graph.initializer}
    number = [int(node.name[:-1]) for node in read.graph.node if node.name]
    return {n: float(sizes[f"{n}@w"]) / (4 if f"{n}@ws" in sizes else 1) for n in number}


def test_every_pair_of_widths_is_timed_in_both_precisions():
    conv, depthwise, head = measure_layers([CONV, DEPTHWISE, HEAD], CHOICES, stopwatch=by_weights)
    assert (conv.inputs, conv.outputs) == ((16, 32), (16, 32, 48))
    expected = tuple(tuple(9.0 * i * o for o in conv.outputs) for i in conv.inputs)
    assert conv.fp32_ms == expected
    assert conv.int8_ms == tuple(tuple(each / 4 for each in row) for row in expected)
    assert (depthwise.inputs, depthwise.outputs) == ((48,), (16, 32, 48))
    assert depthwise.fp32_ms == ((144.0, 288.0, 432.0),)
    assert (head.inputs, head.outputs) == ((16, 32, 48), (10,))


def test_layers_of_the_same_shape_are_timed_once():
    seen = []

    def counted(model, x, runs):
        found = by_weights(model, x, runs)
        seen.append(len(found))
        return found

    conv, twin = measure_layers([CONV, TWIN], CHOICES, stopwatch=counted)
    assert sum(seen) == layer_cost.PASSES * 2 * 2 * 3
    assert conv.fp32_ms == twin.fp32_ms


def test_the_calmest_pass_counts():
    delays = iter([5.0, 5.0, 100.0, 100.0, 1.0, 1.0, 7.0, 7.0])  # two precisions a pass

    def late(model, x, runs):
        delay = next(delays)
        return {number: ms + delay for number, ms in by_weights(model, x, runs).items()}

    (head,) = measure_layers([HEAD], {}, stopwatch=late)
    assert head.fp32_ms == ((481.0,),)


def test_a_network_is_the_sum_of_its_layers_at_their_widths():
    shapes = [CONV, DEPTHWISE, NORM, HEAD]
    times = measure_layers(shapes, CHOICES, stopwatch=by_weights)
    half = {"a": 0.5, "b": 1 / 3}
    assert network_ms(shapes, times, {}) == 9 * 32 * 48 + 9 * 48 + 480
    assert network_ms(shapes, times, half) == 9 * 16 * 16 + 9 * 16 + 160
    assert network_ms(shapes, times, half, Precision.INT8) == (9 * 16 * 16 + 9 * 16 + 160) / 4


def test_between_measured_widths_times_are_interpolated():
    (conv,) = measure_layers([CONV], CHOICES, stopwatch=by_weights)
    assert conv.at(24, 40, Precision.FP32) == pytest.approx(9 * 24 * 40)


def test_latency_lies_on_the_line_through_the_widest_and_the_narrowest_network():
    ends = Ends(
        precision=Precision.FP32, whole_ms=2.0, least_ms=0.2, whole_sum_ms=1.8, least_sum_ms=0.3
    )
    assert ends.share(1.8) == 1
    assert ends.share(0.3) == pytest.approx(0.1)
    assert ends.share(1.05) == pytest.approx(0.55)
    assert Ends.from_dict(json.loads(json.dumps(asdict(ends)))) == ends


def test_a_layer_that_joins_many_groups_is_timed_at_few_widths():
    groups = {f"g{i}": (1.0, 0.75, 0.5, 0.25) for i in range(8)}
    joined = LayerShape(
        layer="joined", inputs=256, outputs=16, reads=tuple((name, 32) for name in groups)
    )
    (times,) = measure_layers([joined], groups, stopwatch=by_weights)
    assert len(times.inputs) == layer_cost.MOST_WIDTHS
    assert (times.inputs[0], times.inputs[-1]) == (64, 256)


def test_times_go_through_json():
    times = measure_layers([CONV, DEPTHWISE], CHOICES, stopwatch=by_weights)
    read = json.loads(json.dumps([asdict(each) for each in times]))
    assert tuple(map(LayerTimes.from_dict, read)) == times


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
@pytest.mark.parametrize("shape", [CONV, DEPTHWISE, GROUPED, SERIES, HEAD, ROWS])
def test_the_engine_tells_the_time_of_each_layer_in_the_kernel_of_its_precision(shape, precision):
    narrow = Piece(shape=shape, inputs=shape.inputs, outputs=shape.outputs, precision=precision)
    file = layers_file([narrow, narrow])
    x = np.zeros(input_shape([narrow]), np.float32)
    found = kernel_times(Target(), file, x, 3)
    assert set(found) == {0, 1}
    assert all(ms > 0 for ms in found.values())
    kernels = time_kernels(file, x, threads=1, runs=3)
    heavy = [k for k in kernels if any(kind in k.kernel for kind in layer_cost.KERNELS)]
    assert len(heavy) == 2
    assert {k.kernel.startswith("Q") or "QLinear" in k.kernel for k in heavy} == {
        precision is Precision.INT8
    }
