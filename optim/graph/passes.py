"""The passes of onnx-ir that ``tidy`` is made of; the model that comes in is left alone.

docs/decisions/10-onnx-ir-passes.md says which of its passes we use, which not, and why.
"""

from __future__ import annotations

from onnx import ModelProto

from optim.errors import BrokenArtifactError

NO_LIMIT = 2**62
"""Elements; every constant counts, whatever its size."""


def lean(model: ModelProto) -> ModelProto:
    """Make constants initializers and no inputs, let equal ones be one, and clear documentation.

    Raises:
        BrokenArtifactError: if the graph contradicts itself.
    """
    from onnx_ir import from_proto, to_proto
    from onnx_ir.passes import PassError, Sequential, common
    from onnx_ir.serde import SerdeError

    passes = Sequential(
        common.RemoveInitializersFromInputsPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(size_limit=NO_LIMIT),
        common.ClearMetadataAndDocStringPass(),
    )
    try:
        return to_proto(passes(from_proto(model)).model)
    except (PassError, SerdeError) as error:
        raise BrokenArtifactError(
            f"the network cannot stand in an ONNX file: {_told(error):.200}"
        ) from error


def _told(error: BaseException) -> str:
    """The first line of the innermost reason."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().splitlines()[0]
