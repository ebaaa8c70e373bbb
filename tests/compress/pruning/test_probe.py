"""Promises of the graph that code breaks are found out, however well weights hide it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.swin_transformer import SwinTransformer

from optim.compress.pruning import coupled_channels
from optim.compress.pruning.cutting import cut, masked
from optim.compress.pruning.find_groups import channel_groups
from optim.compress.pruning.probe import tensors_of
from optim.compress.pruning.prune import prune
from optim.errors import RefusedError
from optim.recipe import Prune
from optim.task.datasets import Split


@pytest.fixture(autouse=True)
def same_weights_whatever_ran_before():
    torch.manual_seed(0)


def reasons(network, shape, **options):
    groups = channel_groups(network.eval(), shape, **options)
    return {group.name: group.unprunable_reason for group in groups}


class Chain(nn.Module):
    """Two linear layers with something between them."""

    def __init__(self, width, between, *, after=1.0, before=1.0):
        super().__init__()
        self.one, self.two = nn.Linear(6, width), nn.Linear(width, 4)
        self.between = between
        self.one.weight.data *= before
        self.two.weight.data *= after

    def forward(self, x):
        return self.two(self.between(self.one(x)))


def centred(y):
    return y - y.mean(-1, keepdim=True)


def of_unit_power(y):
    return y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-12)


def of_unit_deviation(y):
    return y / (y.std(-1, keepdim=True) + 1e-9)


def of_unit_length(y):  # zeros add nothing to a sum
    return y / y.pow(2).sum(-1, keepdim=True).add(1e-12).sqrt()


@pytest.mark.parametrize("norm", [centred, of_unit_power, of_unit_deviation])
@pytest.mark.parametrize(
    "options",
    [{"width": 16}, {"width": 2048}, {"width": 16, "after": 0.0}, {"width": 64, "after": 1e-6},
     {"width": 16, "before": 0.0}],
)  # fmt: skip
def test_a_norm_written_by_hand_is_seen_behind_any_weights(norm, options):
    network = Chain(between=norm, **options)
    assert reasons(network, (6,))["one"].startswith("cutting it changes its other channels")


def test_a_norm_to_which_zeros_add_nothing_loses_channels():
    assert reasons(Chain(512, of_unit_length), (6,))["one"] == ""


def test_what_leaves_may_change_what_a_neighbour_reads():
    class Steered(nn.Module):  # the mean of one layer weighs another
        def __init__(self):
            super().__init__()
            self.one, self.other = nn.Conv2d(2, 32, 1), nn.Conv2d(2, 8, 1)
            self.end, self.fc = nn.Conv2d(32, 4, 1), nn.Conv2d(8, 4, 1)

        def forward(self, x):
            y = self.one(x)
            z = self.other(x) * y.mean(1, keepdim=True).sigmoid()
            return (self.end(y) + self.fc(z)).mean((2, 3))

    (group,) = [g for g in channel_groups(Steered().eval(), (2, 4, 4)) if "one" in g.layers]
    assert group.unprunable_reason.startswith("cutting it changes its other channels")


def test_a_constant_where_zeros_should_be_is_found_behind_a_head_of_zeros():
    network = Chain(16, torch.sigmoid, after=0.0)
    assert reasons(network, (6,))["one"]
    assert reasons(Chain(16, torch.tanh, after=0.0), (6,))["one"] == ""


def test_groups_that_are_sound_stay_prunable_beside_one_that_is_not():
    network = nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), Chain(16, centred), nn.ReLU(), nn.Linear(4, 12), nn.ReLU(),
        nn.Linear(12, 3),
    )  # fmt: skip
    network[2].one = nn.Linear(16, 16)
    found = reasons(network, (6,))
    assert [name for name, reason in found.items() if reason] == ["2.one", "6"]


class TwoAnswers(nn.Module):
    def __init__(self, pack):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 8, 3)
        self.near, self.far = nn.Linear(16, 5), nn.Linear(8, 4)
        self.pack = pack

    def forward(self, x):
        y = self.first(x).relu()
        return self.pack(self.near(y.mean((2, 3))), self.far(self.second(y).mean((2, 3))))


@dataclass
class Answers:
    near: torch.Tensor
    far: torch.Tensor
    note: str = "two"


@pytest.mark.parametrize(
    "pack",
    [
        lambda a, b: (a, b),
        lambda a, b: [a, [b]],
        lambda a, b: {"near": a, "far": (b, None)},
        lambda a, b: OrderedDict(far=b, near=a),
        Answers,
    ],
)
def test_every_tensor_of_an_answer_is_kept(pack):
    network = TwoAnswers(pack).eval()
    groups = channel_groups(network, (3, 8, 8))
    assert [g.name for g in groups if g.prunable] == ["first", "second"]
    pruned = {"first": (0, 3, 4, 9), "second": (1, 2)}
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        pairs = zip(
            tensors_of(masked(network, groups, pruned)(x)),
            tensors_of(cut(network, groups, pruned)(x)),
            strict=True,
        )
        for expected, found in pairs:
            torch.testing.assert_close(found, expected)


def test_an_answer_without_a_tensor_is_refused():
    with pytest.raises(RefusedError, match="must answer with tensors"):
        channel_groups(TwoAnswers(lambda a, b: "nothing").eval(), (3, 8, 8))


@pytest.mark.parametrize(
    "look_up",
    [
        lambda y: y * {16: 1.0}[y.shape[1]],
        lambda y: y * {16: 1.0}.get(y.shape[1]),
        lambda y: y * [0.0] * (16 - y.shape[1]) if y.shape[1] < 16 else y,
        lambda y: y / (y.shape[1] // 16),
    ],
)
def test_code_that_fails_when_its_width_changes_is_left_whole(look_up):
    assert reasons(Chain(16, look_up), (6,))["one"]


def test_a_network_with_a_domain_of_its_own_is_probed_in_it():
    def logarithm(x):
        return Chain(16, torch.relu)(x.log())

    class Audio(Chain):
        def forward(self, x):
            return super().forward(x.log())

    class Narrow(Chain):  # finite between 4 and 5 alone
        def forward(self, x):
            return super().forward((x - 4).log() + (5 - x).log())

    assert reasons(Audio(16, torch.relu), (6,))["one"] == ""
    assert reasons(Audio(16, centred), (6,))["one"]
    with pytest.raises(RefusedError, match="answers are finite"):
        channel_groups(Narrow(16, torch.relu).eval(), (6,))
    examples = np.full((4, 6), 4.5, np.float32) + np.random.default_rng(0).random((4, 6)) * 0.3
    assert reasons(Narrow(16, torch.relu), (6,), examples=examples)["one"] == ""
    split = Split(inputs=examples.astype(np.float32), targets=np.arange(4))
    network = Narrow(32, torch.relu).eval()
    assert prune(network, Prune(ratio=0.5), examples=split, seed=0, original=network)


@pytest.mark.parametrize("error", [KeyError("axis"), ZeroDivisionError(), AssertionError("no")])
def test_what_the_networks_own_code_raises_is_a_refusal(error):
    class Raising(Chain):
        def forward(self, x):
            raise error

    with pytest.raises(RefusedError, match=type(error).__name__):
        channel_groups(Raising(8, torch.relu).eval(), (6,))


def test_a_network_without_layers_has_no_groups():
    assert channel_groups(nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()).eval(), (3,)) == ()


@pytest.mark.timeout(60)
def test_windows_that_shift_do_not_keep_the_walk_for_ever(monkeypatch):
    monkeypatch.setattr(coupled_channels, "MOST_PAIRS", 50_000)
    network = SwinTransformer([4, 4], 16, [1, 1], [2, 2], [4, 4], num_classes=4)
    found = reasons(network, (3, 32, 32))
    assert coupled_channels.MOST_PAIRS == 50_000
    assert any("moved about so often" in reason for reason in found.values())
    assert any(not reason for reason in found.values())


def test_a_norm_over_neighbours_that_hardly_changes_anything_is_seen():
    network = nn.Sequential(
        nn.Conv2d(2, 16, 1), nn.LocalResponseNorm(3, alpha=1e-4), nn.Conv2d(16, 4, 1), nn.Flatten()
    )
    assert reasons(network, (2, 3, 3))["0"].startswith("cutting it changes its other channels")


def test_code_that_insists_on_float32_is_probed_in_it():
    def insists(y):
        return y.relu() @ torch.eye(16, y.shape[1], dtype=torch.float32)[: y.shape[1], : y.shape[1]]

    assert reasons(Chain(16, insists), (6,))["one"] == ""
