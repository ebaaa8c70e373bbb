"""Our quantization against what others do by default, on every sample task.

    python benchmarks/quantization.py [TASK ...] [--quick]

Each line is one file made from the same FP32 network with the same calibration examples. Accuracy
is computed by running the file over the test split; the change against FP32 is counted on the same
examples, with a 95 % interval. Speed is the ratio of the medians of interleaved runs (A B A'),
against FP32 on ONNX Runtime with all optimizations; `null` is FP32 against itself in the same run.

    ONNX Runtime   onnxruntime.quantization.quantize_static, no option given
    NNCF           nncf.quantize, no option given
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from optim import load_task, sample_tasks
from optim.artifact import Artifact, store_artifact
from optim.devices.target import Target
from optim.engines.onnxruntime.engine import ONNX_RUNTIME
from optim.errors import RefusedError
from optim.graph.export import export_onnx
from optim.graph.quantization.quantize import quantize
from optim.measure.latency import measure
from optim.measure.scoring import compare, predictions_of
from optim.recipe import Quantize
from optim.recipe.presets import PRESETS
from optim.task.task import Task

QUICK = ("motion-cnn", "fashion-squeezenet")
EXAMPLES = Quantize().calibration_examples
Maker = Callable[[bytes, np.ndarray], bytes]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=[task.name for task in sample_tasks()])
    parser.add_argument("--quick", action="store_true", help=f"only {' and '.join(QUICK)}")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # others advise to pre-process, which no default call does
    for name in QUICK if arguments.quick else arguments.tasks:
        with tempfile.TemporaryDirectory() as folder:
            _table(load_task(name), Path(folder))


def _makers() -> Iterator[tuple[str, Maker]]:
    for name, step in PRESETS.items():
        yield f"ours: {name}", partial(_by_us, step)
    yield "ONNX Runtime, default call", _by_onnx_runtime
    yield "NNCF, default call", _by_nncf


def _by_us(step: Quantize, model: bytes, examples: np.ndarray) -> bytes:
    return quantize(model, step, examples)


def _table(task: Task, folder: Path) -> None:
    target = Target()
    model = export_onnx(task.network(), task.input_shape)
    original = store_artifact(model, folder)
    examples = task.split("calibration").inputs[:EXAMPLES]
    test = task.split("test")
    before = predictions_of(ONNX_RUNTIME, original.path, test, threads=target.threads)
    right = float((before == test.targets).mean())
    print(
        f"\n{task.title}: FP32 {right:.2%}, {len(model) / 1e6:.2f} MB, {target.environment.words()}"
    )
    print(f"{'':28s} accuracy  change  (95 %)          faster   null    smaller  made in")
    for words, make in _makers():
        started = time.monotonic()
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # others draw progress bars
                content = make(model, examples)
        except ImportError:
            print(f'{words:28s} not installed. Run: pip install "nncf>=3.4"')
            continue
        except RefusedError as error:
            print(f"{words:28s} refused: {error}")
            continue
        seconds = time.monotonic() - started
        artifact = store_artifact(content, folder)
        print(
            f"{words:28s} {_figures(task, original, artifact, before)} {seconds:6.1f} s", flush=True
        )


def _figures(task: Task, original: Artifact, artifact: Artifact, before: np.ndarray) -> str:
    target, test = Target(), task.split("test")
    after = predictions_of(ONNX_RUNTIME, artifact.path, test, threads=target.threads)
    accuracy = compare(after, before, test.targets, split="test", baseline_sha256=original.sha256)
    latency = measure(artifact, original, target, example=test.inputs[:1])
    low, high = accuracy.difference_interval
    return (
        f"{accuracy.value:7.2%} {100 * accuracy.difference:+6.2f}"
        f"  ({100 * low:+.2f} {100 * high:+.2f})"
        f"  {latency.speedup:6.2f}x  {latency.null_ratio:5.3f}"
        f"  {original.size_bytes / artifact.size_bytes:6.2f}x"
    )


def _by_onnx_runtime(model: bytes, examples: np.ndarray) -> bytes:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    loaded = onnx.load_model_from_string(model)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """One example after the other."""

        def __init__(self) -> None:
            self.rest = iter(examples)

        def get_next(self) -> dict[str, np.ndarray] | None:
            example = next(self.rest, None)
            return None if example is None else {loaded.graph.input[0].name: example[None]}

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "quantized.onnx"
        source.write_bytes(model)
        quantize_static(source, target, Reader())
        return target.read_bytes()


def _by_nncf(model: bytes, examples: np.ndarray) -> bytes:
    import nncf

    loaded = onnx.load_model_from_string(model)
    source = loaded.graph.input[0].name
    dataset = nncf.Dataset(list(examples), lambda example: {source: example[None]})
    return bytes(nncf.quantize(loaded, dataset).SerializeToString())


if __name__ == "__main__":
    main()
