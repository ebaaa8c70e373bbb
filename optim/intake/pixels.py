"""Normalization of pixels: the usual ways, by the words for them."""

from __future__ import annotations

from collections.abc import Mapping

NORMALIZATIONS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "0 to 1": ((0.0,), (1.0,)),
    "ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "-1 to 1": ((0.5,), (0.5,)),
    "0 to 255": ((0.0,), (1 / 255,)),
}
"""Mean and deviation of pixels in 0..1, by the words for them."""
