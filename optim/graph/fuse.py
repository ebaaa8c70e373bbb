"""Fold everything that can be folded exactly, with standard ONNX operators only.

ONNX Runtime's basic optimizations fold batch norms, constants and no-ops; our own rules
(``optim.graph.rules``) do what it leaves. The engine repeats the basic ones whenever it loads a
file: a fused file is smaller and loads faster, and only the rules can make it run faster. The
report says which was which.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import onnx
from onnx import ModelProto

from optim.engines.onnxruntime.session import optimized_graph
from optim.graph.onnx_file import producers, read_model, tidy
from optim.graph.rules.all_rules import FLOAT_RULES, INTEGER_RULES, is_quantized
from optim.graph.rules.rule import RuleReport, apply_rules
from optim.graph.runner import basic_optimizations


@dataclass(frozen=True, kw_only=True)
class FuseReport:
    """What was folded and rewritten in a file, and what of it the engine would have done anyway.

    Attributes:
        folded: operators that ONNX Runtime's basic optimizations took out, by kind.
        not_folded: why batch norms were left, in words, and how many.
        rules: what our own rules did.
        nodes_before, nodes_after: operators in the file.
        size_before, size_after: bytes; both without documentation and provenance.
        kernels_before, kernels_after: operators that ONNX Runtime runs after all of its own
            optimizations, for the file as it came and as it left.
    """

    folded: dict[str, int]
    not_folded: dict[str, int]
    rules: tuple[RuleReport, ...]
    nodes_before: int
    nodes_after: int
    size_before: int
    size_after: int
    kernels_before: int
    kernels_after: int

    @property
    def sentence(self) -> str:
        """How much of it is left after the engine has optimized both files."""
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
        """Plain data, ready for JSON."""
        return {**asdict(self), "sentence": self.sentence}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FuseReport:
        """What ``to_dict`` has written."""
        told = {name: value for name, value in data.items() if name != "sentence"}
        rules = tuple(RuleReport(**rule) for rule in data["rules"])
        return cls(**{**told, "rules": rules})


def fuse(model: bytes) -> bytes:
    """Fold batch norms and constants in the file; the answers stay the same to 1e-5.

    In a file with INT8 activations nothing is folded, but rewritten for integer kernels: there the
    answers stay the same up to the rounding of the grid.

    Deterministic, and applied twice it changes nothing more. Weights stay inside the file, the
    batch stays free.

    Raises:
        BrokenArtifactError: if ONNX Runtime cannot read the file.
    """
    return _fused(model)[0]


def fuse_report(model: bytes) -> tuple[bytes, FuseReport]:
    """As ``fuse``, with an account of what was done.

    Raises:
        BrokenArtifactError: if ONNX Runtime cannot read the file.
    """
    fused, folded, rules = _fused(model)
    before = tidy(read_model(model))
    return fused, FuseReport(
        folded=folded,
        not_folded=_left_batch_norms(read_model(fused)),
        rules=tuple(rules),
        nodes_before=_size(before),
        nodes_after=_size(fused),
        size_before=len(before),
        size_after=len(fused),
        kernels_before=_size(optimized_graph(before)),
        kernels_after=_size(optimized_graph(fused)),
    )


def _fused(model: bytes) -> tuple[bytes, dict[str, int], list[RuleReport]]:
    before = read_model(tidy(read_model(model)))
    if is_quantized(before):
        rewritten, rules = apply_rules(before, (*FLOAT_RULES, *INTEGER_RULES))
        return tidy(rewritten), {}, rules
    basic = read_model(_basic_optimizations(bytes(before.SerializeToString())))
    rewritten, rules = apply_rules(basic, FLOAT_RULES)
    gone = Counter(n.op_type for n in before.graph.node)
    gone.subtract(n.op_type for n in basic.graph.node)
    return tidy(rewritten), {kind: n for kind, n in sorted(gone.items()) if n > 0}, rules


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


def _basic_optimizations(model: bytes) -> bytes:
    """ONNX Runtime's basic optimizations, without the operator sets that it adds."""
    optimized = onnx.load_model_from_string(basic_optimizations(model))
    del optimized.opset_import[:]
    optimized.opset_import.extend(read_model(model).opset_import)
    return bytes(optimized.SerializeToString())
