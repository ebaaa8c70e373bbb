"""A window of sensor readings as a small picture: one line per axis, three axes to a band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

AXES_PER_BAND = 3
PAD = 3.0


def series_svg(
    readings: np.ndarray, *, width: int, height: int, colours: Sequence[str], rule: str
) -> str:
    """Draw readings as SVG.

    Args:
        readings: shape (C, L). Three channels share a band and its scale, as the three axes of
            one sensor do.
        width, height: pixels.
        colours: of the axes of a band, repeated as needed.
        rule: colour of the line between bands.
    """
    bands = [
        readings[first : first + AXES_PER_BAND] for first in range(0, len(readings), AXES_PER_BAND)
    ]
    band_height = height / len(bands)
    parts = []
    for i, band in enumerate(bands):
        top = i * band_height
        if i:
            parts.append(
                f'<line x1="0" x2="{width}" y1="{top:.1f}" y2="{top:.1f}" stroke="{rule}"/>'
            )
        for axis, line in enumerate(_lines(band, width, band_height)):
            points = " ".join(f"{x:.1f},{top + y:.1f}" for x, y in line)
            colour = colours[axis % len(colours)]
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">{"".join(parts)}</svg>'
    )


def _lines(band: np.ndarray, width: float, height: float) -> np.ndarray:
    """Return pixel coordinates (C, L, 2) of one band's channels, larger readings further up."""
    low, high = float(band.min()), float(band.max())
    share = (band - low) / (high - low) if high > low else np.full(band.shape, 0.5)
    x = np.broadcast_to(np.linspace(0, width, band.shape[1]), band.shape)
    return np.stack([x, PAD + (height - 2 * PAD) * (1 - share)], axis=-1)
