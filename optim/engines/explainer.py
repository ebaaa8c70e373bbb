"""Explainer: an engine's own reading of its profiles; the analysis knows no engine by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Explainer:
    """The habits of an engine that a profile cannot show.

    Attributes:
        title: the engine in a sentence, such as ``ONNX Runtime``.
        unsigned: why unsigned 8-bit activations are worth trying on it, as a sentence; empty if
            they are not.
        rewritten: operators without an integer kernel that ``optim.graph.fuse`` can spell out in
            operators that have one.
        float_stops_before: kernels, by a part of their names, that become slow if the layer before
            them is the last one in float.
        elsewhere: which other engine may have the kernels that this one lacks, as the beginning of
            a sentence that the operators end; empty if none is known.
    """

    title: str
    unsigned: str = ""
    rewritten: tuple[str, ...] = ()
    float_stops_before: tuple[str, ...] = ()
    elsewhere: str = ""
