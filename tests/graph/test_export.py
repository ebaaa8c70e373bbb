import copy

import numpy as np
import onnx
import pytest
import torch

from optim.graph.export import export_onnx
from tests.graph.conftest import exported_of, network_of
from tests.graph.running import answers


def test_the_file_answers_as_the_network_does_at_any_batch_size(architecture, exported, examples):
    with torch.inference_mode():
        expected = network_of(architecture)(torch.from_numpy(examples)).numpy()
    tolerance = 1e-5 * max(1.0, float(np.abs(expected).max()))
    for n in (1, 7):
        np.testing.assert_allclose(
            answers(exported, examples[:n]), expected[:n], rtol=1e-5, atol=tolerance
        )


def test_the_file_holds_the_weights_and_hardly_anything_else(architecture, exported):
    weights = sum(p.numel() * 4 for p in network_of(architecture).parameters())
    assert len(exported) < weights + 12_000
    model = onnx.load_model_from_string(exported)
    assert not model.metadata_props
    assert not model.graph.value_info
    assert model.producer_name == "edge-optim"
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input):
        assert not part.doc_string
        assert not part.metadata_props


def test_layers_keep_the_names_of_their_modules():
    model = onnx.load_model_from_string(exported_of("motion_cnn"))
    names = [node.name for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert names[0] == "blocks.0.main.0"
    assert names[-1] == "head"


def test_exporting_leaves_the_network_alone_and_is_deterministic(capfd):
    network = copy.deepcopy(network_of("motion_cnn")).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = export_onnx(network, (6, 128))
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert export_onnx(network, (6, 128)) == first == exported_of("motion_cnn")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("shape", [(), (1, 0, 28)])
def test_an_impossible_input_shape_is_refused(shape):
    with pytest.raises(ValueError, match="input_shape must be that of one example"):
        export_onnx(network_of("motion_cnn"), shape)
