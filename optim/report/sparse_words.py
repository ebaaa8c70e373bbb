"""Worth of a file's zeros in words: nothing to a dense engine, bytes to a compressor."""

from __future__ import annotations

from optim.candidate import Candidate
from optim.recipe import Pattern, Sparsify
from optim.words import share, times


def sparse_words(candidate: Candidate, baseline: Candidate) -> str:
    """Return why a sparse network is not faster here, and what it saves; empty if not sparse.

    Args:
        candidate: with its file, or it has no words yet.
        baseline: the original, whose compressed file the candidate's is compared with.
    """
    step, facts = candidate.recipe.step(Sparsify), candidate.facts
    if step is None or facts is None or facts.sparsity is None:
        return ""
    pattern = "" if step.pattern is Pattern.UNSTRUCTURED else f", in the pattern {step.pattern}"
    sentences = [
        f"Needs a sparse engine: {share(facts.sparsity)} of the weights are zero{pattern}, but "
        "ONNX Runtime computes zeros like any number, and they take as many bytes of the file."
    ]
    ours, theirs = candidate.artifact, baseline.artifact
    if ours is not None and theirs is not None:
        ratio = theirs.compressed_bytes / ours.compressed_bytes
        sentences.append(f"Compressed, it is {times(ratio)} smaller than the original compressed.")
    return " ".join(sentences)
