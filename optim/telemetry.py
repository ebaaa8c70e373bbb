"""Nothing leaves this machine: the telemetry of every library we load is off before it is loaded.

ONNX Runtime reports each session, with names from the user's model, unless it is told not to before
its first import; ``optim`` therefore calls ``turn_off`` when it is itself imported. Processes that
we start inherit the variables; one that starts with an empty environment is given ``VARIABLES``.
"""

from __future__ import annotations

import os
import sys
from typing import Final

VARIABLES: Final = {
    "ORT_DISABLE_TELEMETRY": "1",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""Read by ONNX Runtime, Streamlit, huggingface_hub (which timm loads), and by who keeps to
https://donottrack.sh."""

MODULES: Final = ("openvino_telemetry",)
"""Libraries that know no variable and do nothing else; OpenVINO works without its own."""


def turn_off() -> None:
    """Set the variables, whatever they were, and let the modules count as not installed."""
    os.environ.update(VARIABLES)
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's way to block an import
