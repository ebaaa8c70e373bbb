"""A sparse network is never sold as a fast one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from optim.artifact import Artifact, GraphFacts
from optim.candidate import Candidate, role_of
from optim.recipe import Pattern, Prune, Recipe, Sparsify
from optim.report.sparse_words import sparse_words


def made(recipe: Recipe, *, zeros: int, compressed_bytes: int) -> Candidate:
    return Candidate(
        id="0" * 12,
        task="motion-cnn",
        recipe=recipe,
        role=role_of(recipe),
        artifact=Artifact(
            path=Path("a.onnx"), sha256="0", size_bytes=4000, compressed_bytes=compressed_bytes
        ),
        facts=GraphFacts(
            parameters=1000, macs=1, float_operators={}, operators=1, weights=1000,
            zero_weights=zeros,
        ),
    )  # fmt: skip


BASELINE = made(Recipe(), zeros=0, compressed_bytes=3600)


def test_zeros_need_a_sparse_engine_and_help_a_compressor() -> None:
    candidate = made(Recipe(steps=(Sparsify(sparsity=0.7),)), zeros=694, compressed_bytes=1200)
    assert sparse_words(candidate, BASELINE) == (
        "Needs a sparse engine: 69.40 % of the weights are zero, but ONNX Runtime computes zeros "
        "like any number, and they take as many bytes of the file. "
        "Compressed, it is 3.00x smaller than the original compressed."
    )


def test_a_pattern_is_named() -> None:
    recipe = Recipe(steps=(Sparsify(pattern=Pattern.TWO_OF_FOUR),))
    words = sparse_words(made(recipe, zeros=500, compressed_bytes=2000), BASELINE)
    assert "50.00 % of the weights are zero, in the pattern 2:4, but" in words


def test_a_network_that_was_not_made_sparse_or_is_not_made_yet_has_no_words() -> None:
    sparse = made(Recipe(steps=(Sparsify(),)), zeros=500, compressed_bytes=2000)
    dense = made(Recipe(steps=(Prune(ratio=0.5),)), zeros=40, compressed_bytes=2000)
    assert sparse_words(dense, BASELINE) == ""
    assert sparse_words(replace(sparse, facts=None), BASELINE) == ""
    assert "Compressed" not in sparse_words(replace(sparse, artifact=None), BASELINE)
