"""Small tasks of a workspace's own, one for each kind of answer, made of a few lines of ONNX."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from optim.task.task import Task, load_task

RNG = np.random.default_rng(0)
SIZES = {"calibration": 32, "validation": 40, "test": 60}
INPUTS, HIDDEN, CLASSES = 8, 16, 5
KINDS = ("labels", "no labels", "no classes", "numbers", "two inputs")
"""Accuracy; agreement; signal to noise; absolute error; two named inputs of different types."""


def own_task(workspace: Path, kind: str) -> Task:
    """Write card, model and data of a task of this kind into a workspace."""
    name = kind.replace(" ", "-")
    folder = workspace / "tasks" / name
    (folder / "data").mkdir(parents=True)
    two = kind == "two inputs"
    answers = {"labels": CLASSES, "no labels": CLASSES, "numbers": 1}.get(kind, 3)
    model, weights = _model(answers, ids=two)
    (folder / "model.onnx").write_bytes(model)
    for split, n in SIZES.items():
        x = RNG.normal(size=(n, INPUTS)).astype(np.float32)
        arrays = {"ids": RNG.integers(0, 4, (n, 2)), "x": x} if two else {"x": x}
        np.savez(folder / "data" / f"{split}.npz", **arrays, **_targets(kind, x, weights))
    data = {"title": "made up", "input_shape": [2] if two else [INPUTS]}
    if kind in ("labels", "no labels"):
        data["labels"] = [f"class {i}" for i in range(CLASSES)]
    metric = {"labels": {"metric": "accuracy"}, "numbers": {"metric": "mae"}}.get(kind, {})
    card = {"title": f"Own, {kind}", "model": "model.onnx", "data": data, **metric}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return load_task(name, workspace)


def _model(answers: int, *, ids: bool) -> tuple[bytes, Mapping[str, np.ndarray]]:
    """relu(x w + b) v, and with ids rows of a table beside x."""
    width = INPUTS + (2 * 3 if ids else 0)
    weights = {
        "w": RNG.normal(size=(width, HIDDEN)).astype(np.float32),
        "b": RNG.normal(size=HIDDEN).astype(np.float32),
        "v": RNG.normal(size=(HIDDEN, answers)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Gemm", ["joined" if ids else "x", "w", "b"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("Gemm", ["r", "v"], ["answer"], name="second"),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", INPUTS])]
    if ids:
        weights["table"] = RNG.normal(size=(4, 3)).astype(np.float32)
        weights["flat"] = np.array([-1, 6], np.int64)
        nodes = [
            helper.make_node("Gather", ["table", "ids"], ["rows"], name="gather"),
            helper.make_node("Reshape", ["rows", "flat"], ["side"], name="reshape"),
            helper.make_node("Concat", ["x", "side"], ["joined"], axis=1, name="concat"),
            *nodes,
        ]
        inputs.insert(0, helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", 2]))
    graph = helper.make_graph(
        nodes,
        "own",
        inputs,
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["N", answers])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return model.SerializeToString(), weights


def _targets(kind: str, x: np.ndarray, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the model answers, with a little chance, where there are labels."""
    if kind not in ("labels", "numbers"):
        return {}
    answer = np.maximum(x @ weights["w"] + weights["b"], 0) @ weights["v"]
    noisy = answer + RNG.normal(size=answer.shape)
    return {"targets": noisy.argmax(1) if kind == "labels" else noisy.astype(np.float32)}
