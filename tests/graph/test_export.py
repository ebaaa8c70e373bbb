import copy

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from optim.errors import RefusedError
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


class OnBatch(nn.Module):
    """A layer, and something that is done with the whole batch."""

    def __init__(self, then):
        super().__init__()
        self.layer, self.then = nn.Linear(6, 4), then

    def forward(self, x):
        return self.then(self.layer(x), x)


@pytest.mark.parametrize(
    "then",
    [
        lambda y, x: y.reshape(int(x.shape[0]), -1),
        lambda y, x: torch.stack([y[i] * 2 for i in range(x.shape[0])]),
        lambda y, x: y.reshape(2, -1),
        lambda y, x: y * len(y),
        lambda y, x: y if x.shape[0] == 2 else y + 1,
        lambda y, x: torch.cat([y[:1], y[1:] * 0.5]),
        lambda y, x: y - y.mean(0, keepdim=True),
        lambda y, x: y[: x.shape[0]].contiguous().view(-1, 4),
    ],
)
def test_a_batch_is_free_and_right_or_the_network_is_refused(then):
    network = OnBatch(then).eval()
    try:
        file = export_onnx(network, (6,))
    except RefusedError:
        return
    for n in (1, 2, 3, 5):
        x = torch.randn(n, 6)
        try:
            with torch.inference_mode():
                expected = network(x).numpy()
        except RuntimeError:  # the network itself takes no such batch
            continue
        np.testing.assert_allclose(answers(file, x.numpy()), expected, atol=1e-5)


def test_the_usual_ways_to_name_the_batch_are_not_refused():
    for then in (lambda y, x: y.reshape(x.shape[0], -1), lambda y, x: y.view(x.size(0), 2, 2)):
        assert export_onnx(OnBatch(then).eval(), (6,))


def test_code_that_counts_its_examples_is_exported_as_it_treats_one():
    network = OnBatch(lambda y, x: torch.stack([y[i] * 2 for i in range(x.shape[0])])).eval()
    x = torch.randn(5, 6)
    with torch.inference_mode():
        expected = network(x).numpy()
    np.testing.assert_allclose(answers(export_onnx(network, (6,)), x.numpy()), expected, atol=1e-5)


@pytest.mark.parametrize(
    "then",
    [lambda y, x: y if y.sum() > 0 else -y, lambda y, x: torch.tensor(np.linalg.inv(y.numpy()))],
)
def test_what_torch_cannot_express_is_refused_in_one_sentence(then):
    with pytest.raises(RefusedError, match="cannot become an ONNX file with a free batch"):
        export_onnx(OnBatch(then).eval(), (6,))


def test_a_network_with_a_domain_of_its_own_is_exported():
    network = nn.Sequential(OnBatch(lambda y, x: x.log()), nn.Linear(6, 3)).eval()
    x = np.full((2, 6), 0.5, np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(answers(export_onnx(network, (6,)), x), expected, atol=1e-5)
