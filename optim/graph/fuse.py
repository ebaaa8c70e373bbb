"""Fold everything that can be folded exactly, with standard ONNX operators only.

ONNX Runtime's basic optimizations fold batch norms, constants and no-ops; our own rules
(``optim.graph.rules``) do what it leaves. The engine repeats the basic ones whenever it loads a
file: a fused file is smaller and loads faster, and only the rules can make it run faster. The
report says which was which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from optim.engines.onnxruntime.session import optimized_graph
from optim.graph.equivalence import EXACT, Question, largest_difference, noise_db, question
from optim.graph.examples import Examples, NamedExamples
from optim.graph.onnx_file import producers, read_model, tidy
from optim.graph.rules.all_rules import FLOAT_RULES, INTEGER_RULES, is_quantized
from optim.graph.rules.rule import Rule, RuleReport, apply_rules, taken_back
from optim.graph.runner import basic_optimizations

LARGER, SMALL = 1.1, 4096
"""How much larger folding may make a file: this many times, and so many bytes more."""
ON_GRID_DB = 10.0
"""How far below the answers the difference of a rewrite for integers has to lie."""
RESHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity")
"""Kernels that compute nothing."""


@dataclass(frozen=True, kw_only=True)
class FuseReport:
    """Folds and rewrites of a file, and which of them the engine would have done anyway.

    Attributes:
        folded: operators that ONNX Runtime's basic optimizations took out, by kind.
        not_folded: why batch norms were left, in words, and how many.
        taken_back: why all of the folding was taken back, if it was.
        rules: what our own rules did, and why it was taken back.
        nodes_before, nodes_after: operators in the file.
        size_before, size_after: bytes; both without documentation and provenance.
        kernels_before, kernels_after: operators that ONNX Runtime runs after all of its own
            optimizations, for the file as it came and as it left.
    """

    folded: dict[str, int]
    not_folded: dict[str, int]
    taken_back: tuple[str, ...]
    rules: tuple[RuleReport, ...]
    nodes_before: int
    nodes_after: int
    size_before: int
    size_after: int
    kernels_before: int
    kernels_after: int

    @property
    def sentence(self) -> str:
        """Gain that is left after the engine has optimized both files, in words."""
        changed = (
            f"The file still has {self.nodes_after} operators."
            if self.nodes_after == self.nodes_before
            else f"The file has {self.nodes_after} operators instead of {self.nodes_before}."
        )
        if not any(rule.applied for rule in self.rules):
            return (
                f"{changed} ONNX Runtime does the same whenever it loads a file, and runs "
                f"{self.kernels_before} kernels before and {self.kernels_after} after: "
                "do not expect it to be faster."
            )
        return (
            f"{changed} ONNX Runtime optimizes every file it loads: it runs {self.kernels_before} "
            f"kernels before and {self.kernels_after} after. Only the rewrites are more than it "
            "does by itself; measure whether they pay."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return {**asdict(self), "sentence": self.sentence}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FuseReport:
        """Read what ``to_dict`` has written."""
        told = {name: value for name, value in data.items() if name != "sentence"}
        rules = tuple(RuleReport(**rule) for rule in data["rules"])
        return cls(**{**told, "rules": rules})


def fuse(model: bytes, examples: np.ndarray | Mapping[str, np.ndarray] | None = None) -> bytes:
    """Fold batch norms and constants in the file; the answers stay the same to 1e-5.

    In a file with INT8 activations nothing is folded, but rewritten for integer kernels: there the
    answers stay the same up to the rounding of the grid. What turns out to change the answers by
    more, or to make the file larger or slower, is taken back.

    Deterministic, and applied twice it changes nothing more, unless ONNX Runtime merges equal
    operators at the second time. Weights stay inside the file, the batch stays free.

    Args:
        model: an ONNX file.
        examples: inputs on which the answers are compared, shape (n, ...), or such an array for
            each input by name; a few are enough. Left out, they are numbers of the shapes that the
            file declares.

    Raises:
        BrokenArtifactError: if ONNX Runtime cannot read the file.
    """
    named = NamedExamples(examples) if isinstance(examples, Mapping) else examples
    return _fused(model, named)[0]


def fuse_report(model: bytes) -> tuple[bytes, FuseReport]:
    """Fuse as ``fuse`` does, with an account of what was done.

    Raises:
        BrokenArtifactError: if ONNX Runtime cannot read the file.
    """
    fused, folded, reasons, rules = _fused(model, None)
    before = tidy(read_model(model))
    return fused, FuseReport(
        folded=folded,
        not_folded=_left_batch_norms(read_model(fused)),
        taken_back=reasons,
        rules=tuple(rules),
        nodes_before=_size(before),
        nodes_after=_size(fused),
        size_before=len(before),
        size_after=len(fused),
        kernels_before=_size(optimized_graph(before)),
        kernels_after=_size(optimized_graph(fused)),
    )


def _fused(
    model: bytes, examples: Examples | None
) -> tuple[bytes, dict[str, int], tuple[str, ...], list[RuleReport]]:
    """Return the fused file, what was folded, why a fold was undone, and what the rules did."""
    before = read_model(tidy(read_model(model)))
    quantized = is_quantized(before)
    asked = question(before, examples, optimize=quantized)
    if quantized:
        rewritten, rules = _by_rules(before, (*FLOAT_RULES, *INTEGER_RULES), asked)
        return tidy(rewritten), {}, (), rules
    basic, reason = _folded(before, asked)
    rewritten, rules = _by_rules(basic, FLOAT_RULES, asked)
    gone = Counter(n.op_type for n in before.graph.node)
    gone.subtract(n.op_type for n in basic.graph.node)
    folded = {kind: n for kind, n in sorted(gone.items()) if n > 0}
    return tidy(rewritten), folded, (reason,) if reason else (), rules


def _folded(before: ModelProto, asked: Question | None) -> tuple[ModelProto, str]:
    """Return the model after basic optimizations, or the model as it was and why."""
    content = bytes(before.SerializeToString())
    basic = _basic_optimizations(content)
    if basic.ByteSize() > LARGER * len(content) + SMALL:
        return (
            before,
            f"it would make the file {basic.ByteSize() / len(content):.1f} times as large",
        )
    if asked is not None:
        off = largest_difference(asked.answers_of(basic), asked.answers)
        if off > EXACT:
            return before, f"it would change the answers by {off:.1g} of the largest"
    return basic, ""


def _by_rules(
    before: ModelProto, rules: Sequence[Rule], asked: Question | None
) -> tuple[ModelProto, list[RuleReport]]:
    """Return the model after our rules, or the model as it was if they break their promise."""
    rewritten, reports = apply_rules(before, rules)
    if not any(report.applied for report in reports):
        return rewritten, reports
    reason = _broken_promise(before, rewritten, asked)
    return (before, taken_back(reports, reason)) if reason else (rewritten, reports)


def _broken_promise(before: ModelProto, rewritten: ModelProto, asked: Question | None) -> str:
    """Return why rewrites are taken back; empty if they keep their promise.

    The rules for integers trade one kernel for two that are faster: their kernels are not counted.
    """
    quantized = is_quantized(before)
    if asked is not None:
        answers = asked.answers_of(rewritten)
        noise = noise_db(answers, asked.answers)
        if quantized and noise < ON_GRID_DB:
            return f"its noise would lie {noise:.0f} dB below the answers"
        off = largest_difference(answers, asked.answers)
        if not quantized and off > EXACT:
            return f"it would change the answers by {off:.1g} of the largest"
    kernels = [
        _computing_kernels(bytes(model.SerializeToString())) for model in (before, rewritten)
    ]
    if not quantized and kernels[1] > kernels[0]:
        return f"the engine would run {kernels[1]} kernels instead of {kernels[0]}"
    return ""


def _computing_kernels(model: bytes) -> int:
    """Return the operators that ONNX Runtime runs, without those that only reshape."""
    nodes = onnx.load_model_from_string(optimized_graph(model)).graph.node
    return sum(node.op_type not in RESHAPES for node in nodes)


def _size(model: bytes) -> int:
    return len(onnx.load_model_from_string(model).graph.node)


def _left_batch_norms(model: ModelProto) -> dict[str, int]:
    writers = producers(model.graph.node)
    reasons: Counter[str] = Counter()
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            before = writers.get(node.input[0])
            source = "the network's input" if before is None else before.op_type
            shared = before is not None and before.op_type == "Conv"
            reasons[
                "the convolution before it has other readers" if shared else f"it follows {source}"
            ] += 1
    return dict(reasons)


def _basic_optimizations(model: bytes) -> ModelProto:
    """Apply ONNX Runtime's basic optimizations, without the operator sets that it adds."""
    optimized = onnx.load_model_from_string(basic_optimizations(model))
    del optimized.opset_import[:]
    optimized.opset_import.extend(read_model(model).opset_import)
    return optimized
