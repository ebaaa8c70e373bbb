"""Make a stranger's model fit: sizes that are free get a number, what only looks different goes.

    freeze inputs -> fix free sizes -> drop shapes that may lie -> fold decided branches
    -> raise the opset -> free the batch

Each step is kept only if the model then answers as before, on random inputs at the chosen sizes,
and does not grow. What is not kept is said: a later step may ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper

from optim.errors import BrokenArtifactError, OptimError
from optim.graph.onnx_file import opset, read_model
from optim.graph.runner import Runner, basic_optimizations
from optim.intake.look import Look, Port, look_at, size_of

LEAST_OPSET = 13
"""From here on a scale may be given per channel, which INT8 needs."""
RAISED_OPSET = 17
GROWTH = 1.1
"""Folding may write constants out; beyond this factor it is not worth it."""
TOLERANCE = 1e-4
"""Largest difference, as a share of the largest answer."""
BRANCHES = ("If", "Loop", "Scan")
Feeds = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model that the product can work on.

    Attributes:
        content: its bytes.
        steps: what was done, a sentence each.
        look: of the fitted model.
        free_batch: True if it takes any number of examples at once.
    """

    content: bytes
    steps: tuple[str, ...]
    look: Look
    free_batch: bool


def make_fit(content: bytes, *, sizes: Mapping[str, int], frozen: Mapping[str, float]) -> Fitted:
    """Fit a model.

    Args:
        content: an admitted ONNX file in one piece.
        sizes: a number for every free size but the batch, by its name.
        frozen: inputs that become constants, by name.

    Raises:
        BrokenArtifactError: if a name is unknown, a free size has no number, or the model does not
            run at the chosen sizes.
    """
    look = look_at(content)
    _check_names(look, sizes, frozen)
    model = read_model(content)
    steps = _fix(model, sizes, frozen)
    plain = model.SerializeToString()
    feeds = random_feeds(look_at(plain).inputs, 1, seed=0)
    expected = _answers(plain, feeds)
    kept = plain
    for words, change in _CHANGES:
        changed = _attempt(change, kept)
        if changed is None or changed == kept or len(changed) > GROWTH * len(kept):
            continue
        if _same(changed, feeds, expected):
            kept = changed
            steps.append(words)
    freed = _attempt(_free_batch, kept)
    free = freed is not None and _takes_many(freed, feeds)
    if free and freed is not None:
        if freed != kept:
            steps.append("It takes any number of examples at once now.")
        kept = freed
    return Fitted(content=kept, steps=tuple(steps), look=look_at(kept), free_batch=free)


def random_feeds(inputs: tuple[Port, ...], n: int, *, seed: int) -> Feeds:
    """Return random inputs by name, a batch of ``n``: normal numbers, or integers 0 and 1."""
    draw = np.random.default_rng(seed)
    feeds: Feeds = {}
    for port in inputs:
        shape = tuple(size if isinstance(size, int) else 1 for size in port.shape[1:])
        whole = (n, *shape) if port.shape else ()
        dtype = np.dtype(port.dtype)
        if dtype.kind == "f":
            feeds[port.name] = draw.standard_normal(whole).astype(dtype)
        else:
            feeds[port.name] = draw.integers(0, 2, whole).astype(dtype)
    return feeds


def _check_names(look: Look, sizes: Mapping[str, int], frozen: Mapping[str, float]) -> None:
    names = [port.name for port in look.inputs]
    for name in frozen:
        if name not in names:
            raise BrokenArtifactError(
                f"there is no input {name!r:.40} to freeze. The inputs are: {', '.join(names)}."
            )
    left = [port for port in look.inputs if port.name not in frozen]
    for port in left:
        if port.dtype in ("text", "unknown"):
            raise BrokenArtifactError(
                f"input {port.name!r:.40} takes {port.dtype}, which cannot be fed here. Cut the "
                "part that prepares it off the model."
            )
        if not port.shape:
            raise BrokenArtifactError(
                f"input {port.name!r:.40} is a single number without a batch. Freeze it: "
                f"--freeze {port.name}=VALUE."
            )
    free = {size for port in left for size in port.free}
    unknown = set(sizes) - free
    if unknown:
        known = ", ".join(sorted(free)) or "none"
        raise BrokenArtifactError(
            f"there is no free size {min(unknown)!r:.40}. The free sizes are: {known}."
        )
    if missing := sorted(free - set(sizes)):
        raise BrokenArtifactError(
            f"the model leaves {', '.join(missing)} free; each needs a number that it will run at. "
            f"Say it: {' '.join(f'--size {name}=320' for name in missing)}."
        )


def _fix(model: ModelProto, sizes: Mapping[str, int], frozen: Mapping[str, float]) -> list[str]:
    """Freeze inputs, number sizes, and drop the shapes that may no longer hold, in place."""
    steps = []
    stored = {tensor.name for tensor in model.graph.initializer}
    kept = []
    for value in model.graph.input:
        if value.name in stored:
            continue
        if value.name in frozen:
            kind = value.type.tensor_type
            shape = [dim.dim_value or 1 for dim in kind.shape.dim]
            dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
            constant = np.full(shape, frozen[value.name], dtype)
            model.graph.initializer.append(numpy_helper.from_array(constant, value.name))
            steps.append(f"Input {value.name} is the constant {frozen[value.name]:g} now.")
            continue
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            size = size_of(dim, value.name, axis)
            if axis == 0 and isinstance(size, str):
                dim.dim_param = "N"
            elif isinstance(size, str):
                dim.dim_value = sizes[size]
        kept.append(value)
    steps += [f"Size {name} is {size}." for name, size in sizes.items()]
    if len(kept) + len(frozen) < len(model.graph.input):
        steps.append("Constants that stood among the inputs are no inputs any more.")
    del model.graph.input[:]
    model.graph.input.extend(kept)
    _drop_declared_shapes(model)
    return steps


def _drop_declared_shapes(model: ModelProto) -> None:
    """Drop inner and output shapes: a file may declare wrong ones."""
    del model.graph.value_info[:]
    for value in model.graph.output:
        kind = value.type.tensor_type
        rank = len(kind.shape.dim)
        if value.type.HasField("tensor_type") and kind.HasField("shape"):
            kind.ClearField("shape")
            for _ in range(rank):
                kind.shape.dim.add()


def _fold_branches(content: bytes) -> bytes:
    """Fold constants, and with them every branch whose condition is decided."""
    if not any(node.op_type in BRANCHES for node in read_model(content).graph.node):
        return content
    return basic_optimizations(content)


def _raise_opset(content: bytes) -> bytes:
    model = read_model(content)
    if opset(model) >= LEAST_OPSET:
        return content
    raised = onnx.version_converter.convert_version(model, RAISED_OPSET)
    return bytes(raised.SerializeToString())


_CHANGES: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("Branches whose condition is decided were folded away.", _fold_branches),
    (f"Its operators were raised to opset {RAISED_OPSET}.", _raise_opset),
)


def _free_batch(content: bytes) -> bytes:
    """Name the first axis of every input."""
    model = read_model(content)
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if dims and dims[0].HasField("dim_value") and dims[0].dim_value != 1:
            raise BrokenArtifactError("it takes batches of one size alone")
        if dims:
            dims[0].dim_param = "N"
    _drop_declared_shapes(model)
    return bytes(model.SerializeToString())


def _attempt(change: Callable[[bytes], bytes], content: bytes) -> bytes | None:
    """Apply a change to a model; None if it cannot be done."""
    try:
        return change(content)
    except (OptimError, RuntimeError, ValueError, TypeError):
        return None


def _answers(content: bytes, feeds: Feeds) -> list[np.ndarray]:
    model = read_model(content)
    try:
        return Runner(model).run([value.name for value in model.graph.output], feeds)
    except OptimError:
        raise
    except Exception as error:  # the engine's exceptions share no narrower base
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BrokenArtifactError(
            f"the model does not run at these sizes: {first:.200}. Choose others with --size."
        ) from error


def _same(content: bytes, feeds: Feeds, expected: list[np.ndarray]) -> bool:
    try:
        return all(map(_close, _answers(content, feeds), expected))
    except OptimError:
        return False


def _close(found: np.ndarray, expected: np.ndarray) -> bool:
    if found.shape != expected.shape:
        return False
    if found.dtype.kind != "f":
        return bool(np.array_equal(found, expected))
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    return bool(np.allclose(found, expected, rtol=0, atol=TOLERANCE * scale, equal_nan=True))


def _takes_many(content: bytes, feeds: Feeds) -> bool:
    """True if three examples at once get the answers that each gets alone."""
    inputs = look_at(content).inputs
    many = random_feeds(inputs, 3, seed=1)
    try:
        together = _answers(content, many)
        alone = [
            _answers(content, {name: value[i : i + 1] for name, value in many.items()})
            for i in range(3)
        ]
    except OptimError:
        return False
    return all(
        whole.ndim > 0 and _close(whole, np.concatenate(parts))
        for whole, *parts in zip(together, *alone, strict=True)
    )
