"""Bring a network: drop the file, look at what it is, answer what it leaves open, go."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import streamlit as st

from dashboard import live, loaders
from dashboard.state import keys as state
from dashboard.words import words
from dashboard.words.markup import plain
from optim.errors import OptimError
from optim.intake.bring import bring, look_apart
from optim.intake.look import Look, Port
from optim.intake.pixels import NORMALIZATIONS
from optim.shrink import WAYS
from optim.words import count, one_line

UPLOADS = "uploads"
KEPT_S = 24 * 3600.0
"""An upload that nobody went on with is deleted after a day."""
CHUNK = 2**20
MOST_BYTES = 2 * 10**9
GUESS = "find out"
PROPOSED = 224
"""What a free size is proposed to be."""


def panel() -> None:
    """Draw the way in, from the file to the task."""
    _sweep()
    st.header("Bring your own network", anchor=False)
    st.caption(
        "Any ONNX file, up to 2 GB. It is read and run in a process of its own, with limits and "
        "without a network; nothing leaves this machine."
    )
    file = st.file_uploader("ONNX file", type=["onnx"], key=state.OWN_FILE)
    if file is None:
        _without_file()
        return
    path = _kept(file, ".onnx")
    if path is None:
        return
    try:
        look = _look(str(path))
    except OptimError as error:
        st.error(plain(str(error)), icon=":material/block:")
        return
    _seen(look)
    _questions(path, look)


def _without_file() -> None:
    with st.container(border=True, key="own_empty"):
        st.markdown(
            "Drop a file above to see what it is. From the command line the same is "
            "`edge-optim bring FILE --data FOLDER`, and `edge-optim shrink FILE --to FOLDER` tries "
            "every way at once. A PyTorch network becomes such a file with `torch.onnx.export`."
        )


@st.cache_data(max_entries=8, show_spinner="Looking at the file ...")
def _look(path: str) -> Look:
    return look_apart(Path(path))


def _seen(look: Look) -> None:
    """Draw what the file is."""
    left, middle, right = st.columns(3)
    left.metric("File", words.size(look.size_bytes))
    middle.metric("Parameters", count(look.parameters))
    right.metric("Operators", count(sum(look.operators.values())))
    kinds = ", ".join(f"{n} {plain(kind)}" for kind, n in list(look.operators.items())[:8])
    types = plain(", ".join(look.weight_types) or "none")
    ports = "\n".join(
        [f"- takes `{_code(port)}`" for port in look.inputs]
        + [f"- gives `{_code(port)}`" for port in look.outputs]
    )
    st.markdown(f"{ports}\n- opset {look.opset}, weights in {types}, operators: {kinds}")


def _code(port: Port) -> str:
    return one_line(port.words()).replace("`", "'")


def _questions(path: Path, look: Look) -> None:
    """Draw what the file leaves open, with proposals, and the button."""
    scalars = [port for port in look.inputs if not port.shape]
    free = list(dict.fromkeys(size for port in look.inputs for size in port.free))
    with st.form("bring", border=True):
        name = st.text_input(
            "Name", value=_proposed_name(st.session_state[state.OWN_FILE].name), max_chars=60
        )
        sizes = {
            size: st.number_input(
                f"Size {plain(size)}", min_value=1, max_value=2**20, value=PROPOSED,
                help="The file leaves this size free; everything is measured at one number.",
            )
            for size in free
        }  # fmt: skip
        frozen = {
            port.name: st.number_input(
                f"Constant for {plain(port.name)}", value=0.0,
                help="A single number without a batch becomes a constant.",
            )
            for port in scalars
        }  # fmt: skip
        data = st.file_uploader(
            "Examples: a zip of class folders with pictures, or an .npz (none: random inputs)",
            type=["zip", "npz"],
        )
        way = st.selectbox(
            "Pixels as the network expects them", [GUESS, *NORMALIZATIONS],
            help="Found out by trying each on labelled pictures; for arrays it does not matter.",
        )  # fmt: skip
        asked = st.form_submit_button("Bring it", type="primary", icon=":material/input:")
    if asked:
        _bring(path, name, data, {k: int(v) for k, v in sizes.items()}, frozen, way)


def _bring(
    path: Path,
    name: str,
    data: Any,
    sizes: dict[str, int],
    frozen: dict[str, float],
    way: str,
) -> None:
    examples = None if data is None else _kept(data, Path(data.name).suffix)
    if data is not None and examples is None:
        return
    bar = st.progress(0.0, text="reading the file")

    def follow(share: float, said: str) -> None:
        bar.progress(min(1.0, share), text=plain(said))

    try:
        made = bring(
            path, loaders.workspace().path, name=name.strip(), data=examples, sizes=sizes,
            frozen=frozen, normalization=None if way == GUESS else way,
            progress=follow,
        )  # fmt: skip
        for recipe in WAYS:
            loaders.workspace().submit(made.name, recipe)
    except OptimError as error:
        bar.empty()
        st.error(plain(str(error)), icon=":material/block:")
        return
    shutil.rmtree(path.parent, ignore_errors=True)
    did = " ".join(made.steps)
    live.say(
        f"{made.name} is a task now. {did} Its {len(WAYS)} usual ways are being made and measured."
    )
    st.session_state[state.NEXT_MODEL] = made.name
    st.switch_page(state.EXPLORE)


def _proposed_name(file: str) -> str:
    plain_name = "".join(c if c.isalnum() or c in "._-" else "-" for c in Path(file).stem.lower())
    return plain_name.encode("ascii", "ignore").decode().strip("-._")[:60] or "my-network"


# --- uploads --------------------------------------------------------------------------------------
def _kept(file: Any, suffix: str) -> Path | None:
    """Return the uploaded bytes as a file of the workspace, written once for each upload."""
    known: dict[str, str] = st.session_state.setdefault(state.UPLOADED, {})
    if (path := Path(known.get(file.file_id, ""))).is_file():
        return path
    if file.size > MOST_BYTES:
        st.error(f"The file has {words.size(file.size)}; up to 2 GB can be brought.")
        return None
    folder = loaders.workspace().path / UPLOADS
    try:
        folder.mkdir(exist_ok=True)
        path = Path(mkdtemp(dir=folder)) / f"upload{suffix if suffix.isascii() else ''}"
        with path.open("wb") as target:
            for chunk in _chunks(file):
                target.write(chunk)
    except OSError as error:
        st.error(
            f"The upload cannot be kept: {error.strerror}. Free some space, then drop it again."
        )
        return None
    known[file.file_id] = str(path)
    return path


def _chunks(file: Any) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk


def _sweep() -> None:
    """Delete uploads that nobody went on with."""
    folder = loaders.workspace().path / UPLOADS
    if not folder.is_dir():
        return
    for each in folder.iterdir():
        with suppress(OSError):
            if time.time() - each.stat().st_mtime > KEPT_S:
                shutil.rmtree(each, ignore_errors=True)
