"""Mixed precision against uniform INT8 and INT4 at the same bytes, on shipped tasks.

    python benchmarks/mixed_precision.py [TASK ...] [--workspace FOLDER]

Sensitivity is measured on the validation split, the precisions follow from the integer program, and
each line is one ONNX file: accuracy over the whole test split, bytes on disk, latency beside
the original's. `predicted` is the signal to noise that the sum over layers foretells. `changed` is
against the FP32 original, paired, with its 95 % interval. Budgets are the bytes of the two uniform
files, and some between and around them.

Then the time that sensitivity itself takes, on a network of 53 layers with random weights at
224x224, with the seconds that both processors worked.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from optim import Recipe, Workspace, load_task
from optim.analysis.allocation import WORTH_THEIR_BYTES, Cost, allocate, recipe_within_size
from optim.analysis.sensitivity import Sensitivity
from optim.candidate import Candidate
from optim.errors import RefusedError
from optim.jobs.run import make_and_measure
from optim.recipe import Precision, recipe_of
from optim.store.analyses import AnalysisKind
from optim.task.task import Task

TASKS = ("fashion-mobilenetv2", "fashion-efficientnet-lite0", "motion-cnn", "fashion-squeezenet")
SHARES = (0.0, 0.03, 0.06, 0.1, 0.2, 0.4, 0.7)
"""Budgets between the bytes of the INT4 file (0) and those of the INT8 file (1)."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=TASKS)
    parser.add_argument("--workspace", type=Path, default=Path(".workspace/bench-mixed"))
    parser.add_argument("--heavy", default="mobilenetv2_100", help="of timm, for the time it takes")
    arguments = parser.parse_args()
    workspace = Workspace(arguments.workspace)
    for name in arguments.tasks:
        _compare(workspace, name)
    _time_sensitivity(arguments.heavy)


def _compare(workspace: Workspace, name: str) -> None:
    task = load_task(name)
    fp32, int8, int4 = (
        _made(workspace, task, recipe_of(precision=precision))
        for precision in (Precision.FP32, Precision.INT8, Precision.INT4)
    )
    before = time.process_time()
    found = workspace.analyse(fp32.id, AnalysisKind.SENSITIVITY)
    assert isinstance(found, Sensitivity)
    seconds = time.process_time() - before
    print(f"\n{task.title}, {workspace.environment.words()}")
    print(f"sensitivity: {len(found.rows) // 3} layers, {found.n} examples, {seconds:.0f} s of CPU")
    print(f"{'':44s} bytes     accuracy  changed (95 %)        faster  predicted")
    for candidate in (fp32, int8, int4):
        print(_line(candidate, ""), flush=True)
    budgets = allocate(found, Cost.SIZE, allowed=WORTH_THEIR_BYTES)
    low, high = _bytes(int4), _bytes(int8)
    for share in SHARES:
        most = round(low + share * (high - low))
        try:
            recipe = recipe_within_size(workspace.results, task, Recipe(), budgets, most)
        except RefusedError as error:
            print(f"at most {most:,} bytes: {error}", flush=True)
            continue
        predicted = budgets.within(most).sqnr_db
        print(_line(_made(workspace, task, recipe), f"{predicted:5.1f} dB"), flush=True)


def _made(workspace: Workspace, task: Task, recipe: Recipe) -> Candidate:
    """Made here, even where a file came with the task: that may be of an earlier algorithm."""
    return make_and_measure(
        workspace.results, task, recipe, workspace.target, lambda share, words: None
    )


def _line(candidate: Candidate, predicted: str) -> str:
    accuracy, latency = candidate.score, candidate.latency
    assert accuracy is not None
    assert latency is not None
    low, high = accuracy.difference_interval
    return (
        f"{candidate.words():44s} {_bytes(candidate):9,} {accuracy.value:8.2%} "
        f"{100 * accuracy.difference:+6.2f} ({100 * low:+.2f} {100 * high:+.2f})"
        f"  {latency.speedup:6.2f}x  {predicted}"
    )


def _bytes(candidate: Candidate) -> int:
    assert candidate.artifact is not None
    return candidate.artifact.size_bytes


def _time_sensitivity(name: str) -> None:
    """The noise of each layer as ``measure_sensitivity`` takes it; data are random, too."""
    import timm
    import torch

    from optim.analysis.sensitivity import answer_examples, calibration_examples, layer_noise
    from optim.graph.export import export_onnx
    from optim.graph.fuse import fuse
    from optim.graph.inspect import count_macs
    from optim.graph.onnx_file import read_model
    from optim.graph.simulation.layerwise import calibrate_layers
    from optim.recipe import Quantize
    from optim.task.datasets import Split

    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False).eval()
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((300, 3, 224, 224)).astype(np.float32)
    model = read_model(fuse(export_onnx(network, (3, 224, 224))))
    macs = count_macs(model)
    started, worked = time.monotonic(), time.process_time()
    found = calibrate_layers(model, Quantize(), inputs[: calibration_examples(macs)])
    n = answer_examples(macs, len(found.layers))
    layer_noise(found, Split(inputs=inputs[:n], targets=np.zeros(n, np.int64)))
    print(
        f"\n{name} at 224x224, {len(found.layers)} layers, {n} examples: "
        f"{time.monotonic() - started:.0f} s, {time.process_time() - worked:.0f} s of CPU"
    )


if __name__ == "__main__":
    main()
