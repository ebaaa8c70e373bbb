"""Source of a task's network: an architecture with weights, or an ONNX file.

Graph steps need a file and training steps a network. A source of the first kind gives both; an ONNX
file is itself alone, and training steps are refused with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optim.errors import BrokenArtifactError, Refusal, RefusedError

if TYPE_CHECKING:
    from torch import nn

WEIGHTS_NAME = "weights.safetensors"


@dataclass(frozen=True, kw_only=True)
class TorchSource:
    """An architecture that is known here, with trained weights.

    Attributes:
        architecture: one of ``optim.task.architectures.ARCHITECTURES``.
        path: the weights, safetensors.
        in_channels, classes: what the architecture is built for.
    """

    architecture: str
    path: Path
    in_channels: int
    classes: int

    def network(self, title: str) -> nn.Module:
        """Return the trained network, on the CPU, in evaluation mode.

        Raises:
            BrokenArtifactError: if the weights are missing or do not fit.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from optim.task.architectures import build

        network = build(self.architecture, in_channels=self.in_channels, classes=self.classes)
        try:
            network.load_state_dict(load_file(self.path))
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise BrokenArtifactError(
                f"the weights of {title} cannot be read from {self.path.name}: {error}. Restore "
                "the file, for example with `git checkout`."
            ) from error
        return network.eval()


@dataclass(frozen=True, kw_only=True)
class OnnxSource:
    """An ONNX file that was made elsewhere."""

    path: Path

    def refusal(self, title: str) -> Refusal:
        """Return why there is nothing to train."""
        return Refusal(
            reason=f"{title} came as the ONNX file {self.path.name}, and no network that can be "
            "trained belongs to it.",
            remedy="Fuse or quantize it; steps that train or prune need an architecture with "
            "weights.",
        )

    def network(self, title: str) -> nn.Module:
        """There is no network but the file.

        Raises:
            RefusedError: always.
        """
        raise RefusedError(self.refusal(title))


Source = TorchSource | OnnxSource
