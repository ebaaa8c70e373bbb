"""Promise of a quantized file beyond its bits, checked on a few calibration examples.

Rounding to a grid costs what it costs: that is measured, and shown. But a rewrite for integer
kernels may not cost much more than the grid itself, the engine's kernels may not answer what the
file does not say, and half precision must look like the float32 network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from onnx import ModelProto

from optim.errors import Refusal, RefusedError
from optim.graph.equivalence import Question, largest_difference, noise_db
from optim.graph.onnx_file import read_model

WORSE_DB = 6.0
"""How much louder a rewrite or the engine's kernels may make the noise where it is loud already."""
LOUD_DB = 15.0
"""Noise that lies so far below the answers is not loud, whatever it was before."""
MOVED = 1e-3
"""What moving scales or raising the opset may change, as a share of the largest answer."""
CAREFUL_DB, HALF_DB = 60.0, 40.0
"""How far below the answers the noise of half precision lies: usually, and at least."""


def check_exact(asked: Question | None, model: ModelProto, deed: str, remedy: str) -> None:
    """Refuse a change before quantization that should keep the answers and does not.

    Args:
        asked: the float32 network, optimized as it is when it is measured.
        deed: what was done, the subject of the sentence.

    Raises:
        RefusedError: with how much the answers changed.
    """
    off = 0.0 if asked is None else largest_difference(asked.answers_of(model), asked.answers)
    if off > MOVED:
        raise RefusedError(
            Refusal(
                reason=f"{deed} must keep the answers in float32; here it would change them by "
                f"{off:.1g} of the largest.",
                remedy=remedy,
            )
        )


def rewritten_or_plain(asked: Question | None, plain: bytes, rewritten: bytes) -> bytes:
    """Return the rewritten file, or the plain one if it answers clearly better.

    Args:
        asked: the float32 network, optimized as it is when it is measured.
    """
    if asked is None or plain == rewritten:
        return rewritten
    return plain if _is_worse(_noise(asked, rewritten), _noise(asked, plain)) else rewritten


def check_kernels(asked: Question | None, content: bytes, step: str) -> None:
    """Refuse a file that says what the network answers, if the engine's kernels answer otherwise.

    Raises:
        RefusedError: with both figures.
    """
    if asked is None:
        return
    engine = _noise(asked, content)
    if engine >= LOUD_DB:
        return
    said = _noise(replace(asked, optimize=False), content)
    if _is_worse(engine, said):
        raise RefusedError(
            Refusal(
                reason=f"the {step} file stands for answers with noise {said:.0f} dB below them, "
                f"but the integer kernels of ONNX Runtime give {engine:.0f} dB.",
                remedy="Leave the layers with the largest numbers in FP32, or choose float "
                "activations.",
            )
        )


def half_precision(asked: Question | None, convert: Callable[[bool], bytes]) -> bytes:
    """Return a file in half precision that answers like the float32 network.

    Args:
        convert: makes the file; True leaves more of it in float32.

    Raises:
        RefusedError: if even then it does not.
    """
    content = convert(False)
    noise = np.inf if asked is None else _noise(asked, content)
    if asked is not None and noise < CAREFUL_DB:
        careful = convert(True)
        better = _noise(asked, careful)
        if better > noise + WORSE_DB:
            content, noise = careful, better
    if noise < HALF_DB:
        raise RefusedError(
            Refusal(
                reason="FP16 must leave the answers as they are; here its noise lies only "
                f"{noise:.0f} dB below them, and {HALF_DB:.0f} dB are needed.",
                remedy="Leave the layers with the widest range of numbers in FP32.",
            )
        )
    return content


def _noise(asked: Question, content: bytes) -> float:
    return noise_db(asked.answers_of(read_model(content)), asked.answers)


def _is_worse(after: float, before: float) -> bool:
    return after < LOUD_DB and after < before - WORSE_DB
