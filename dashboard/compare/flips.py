"""The test examples whose answer changed: the images themselves, or the sensor's curves."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
import streamlit as st
from PIL import Image

from dashboard import loaders
from dashboard.charts import ClassAccuracy, theme
from dashboard.compare.sparkline import series_svg
from dashboard.state import keys as state
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.candidate import Candidate
from optim.task.datasets import normalisation
from optim.task.task import Task

Kind = Literal["worse", "better", "other"]
KINDS: dict[str, str] = {"worse": "Became wrong", "better": "Became right", "other": "Wrong twice"}
PER_PAGE = 12
ENLARGED = 96
"""Side of a shown image in pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Flips:
    """Positions in the test split whose answer changed, int, by what became of them."""

    worse: np.ndarray
    better: np.ndarray
    other: np.ndarray


def flips_between(before: np.ndarray, after: np.ndarray, truth: np.ndarray) -> Flips:
    """Sort the changed answers.

    Args:
        before, after, truth: class numbers, shape (n,).
    """
    changed = before != after
    return Flips(
        worse=np.flatnonzero(changed & (before == truth)),
        better=np.flatnonzero(changed & (after == truth)),
        other=np.flatnonzero(changed & (before != truth) & (after != truth)),
    )


def worst_class(reference: ClassAccuracy, other: ClassAccuracy) -> str:
    """Return the class that lost most, in a sentence."""
    lost = (reference.correct - other.correct) / np.maximum(reference.n, 1)
    worst = int(np.argmax(lost))
    if lost[worst] <= 0:
        return f"{other.name} loses in no class"
    return f"{other.name} loses most in {other.labels[worst]}: {100 * lost[worst]:.1f} points"


def panel(task: Task, chosen: list[Candidate], answers: dict[str, np.ndarray]) -> None:
    """Choose a candidate and a kind, and look at the examples, page by page."""
    reference = chosen[0]
    st.header("Examples whose answer changed", anchor=False, help=what_is("Changed answers"))
    others = {c.id: c for c in chosen[1:]}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        name = next(iter(others))
        if len(others) > 1:
            name = st.selectbox(
                f"Against {plain(reference.words())}",
                list(others),
                format_func=lambda each: others[each].words(),
                key="flips_of",
            )
        truth = loaders.test_split(task.name).targets
        found = flips_between(answers[reference.id], answers[name], truth)
        rows = {"worse": found.worse, "better": found.better, "other": found.other}
        kind = st.segmented_control(
            "What became of them",
            list(KINDS),
            default="worse",
            required=True,
            format_func=lambda each: f"{KINDS[each]}: {len(rows[each]):,}",
            key="flips_kind",
        )
    if not len(rows[kind]):
        st.caption("There is none.")
        return
    pages = -(-len(rows[kind]) // PER_PAGE)
    number = st.pagination(pages, key=f"{state.PAGE_OF_FLIPS}_{name}_{kind}") if pages > 1 else 1
    shown = rows[kind][(number - 1) * PER_PAGE :][:PER_PAGE]
    if task.dataset.kind == "series":
        st.caption(f"{plain(task.dataset.input_names.capitalize())}; three axes share a band.")
    _examples(task, shown, truth, answers[reference.id], answers[name])


def _examples(
    task: Task, rows: np.ndarray, truth: np.ndarray, before: np.ndarray, after: np.ndarray
) -> None:
    inputs = loaders.test_split(task.name).inputs
    with st.container(horizontal=True, gap="medium", key="flip_grid"):
        for row in rows:
            label, was, now = (task.labels[each[row]] for each in (truth, before, after))
            with st.container(width=ENLARGED + 64, gap="xxsmall"):
                about = f"Test example {row}: {label}, answered {was}, now {now}"
                match task.dataset.kind:
                    case "image":
                        st.image(_picture(task, inputs[row]), width=ENLARGED, alt=about)
                    case "series":
                        st.image(_curves(inputs[row]), width=ENLARGED + 48, alt=about)
                st.caption(f"**{plain(label)}**  \n{plain(was)} → {plain(now)}")


def _curves(example: np.ndarray) -> str:
    colours = theme(state.is_dark())
    methods = [colours.methods[name] for name in ("quantized", "pruned", "pruned + quantized")]
    return series_svg(
        example, width=ENLARGED + 48, height=ENLARGED, colours=methods, rule=colours.grid
    )


def _picture(task: Task, example: np.ndarray) -> str:
    """Undo the normalisation and enlarge without smoothing; (C, H, W) -> an address with the PNG.

    The picture travels with the page: a file of its own could be gone when the page is drawn anew
    before the browser has asked for it.
    """
    scale = normalisation(task.dataset.name)
    mean, deviation = np.array(scale["mean"]), np.array(scale["deviation"])
    pixels = (example * deviation[:, None, None] + mean[:, None, None]).round().clip(0, 255)
    channels_last = pixels.astype(np.uint8).transpose(1, 2, 0)
    image = Image.fromarray(
        channels_last.squeeze(2) if channels_last.shape[2] == 1 else channels_last
    )
    factor = max(1, 2 * ENLARGED // image.height)
    enlarged = image.resize((factor * image.width, factor * image.height), Image.Resampling.NEAREST)
    file = BytesIO()
    enlarged.save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
