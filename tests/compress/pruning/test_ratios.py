import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from optim.compress.pruning.find_groups import channel_groups
from optim.compress.pruning.groups import ChannelGroup, Part
from optim.compress.pruning.ratios import (
    PrunableGroup,
    block_of,
    channels_to_keep,
    cost_of,
    named,
    nearest_to,
    ranked,
    uniform,
)
from optim.errors import RefusedError
from optim.recipe import PruningUnit
from optim.task.architectures import build
from tests.compress.pruning.pruned import lively

CHANNELS, RATIOS, BLOCKS = st.integers(1, 512), st.floats(0.01, 1), st.sampled_from([1, 8, 16, 32])


def group(name, channels, granularity=1, *, unprunable_reason=""):
    unit = np.repeat(np.arange(channels // granularity), granularity)
    part = Part(layer=name, side="outputs", channel=np.arange(channels), unit=unit)
    return ChannelGroup(
        name=name, layers=(name,), channels=channels, granularity=granularity, order=0,
        parts=(part,), unprunable_reason=unprunable_reason,
    )  # fmt: skip


def rooms(*widths, granularity=1, round_to=8):
    return tuple(
        PrunableGroup(
            group=group(f"layer{i}", width, granularity), channels=width, round_to=round_to
        )
        for i, width in enumerate(widths)
    )


@given(CHANNELS, RATIOS, BLOCKS)
def test_a_layer_keeps_at_least_one_block_and_never_grows(channels, ratio, round_to):
    kept = channels_to_keep(channels, ratio, round_to)
    assert 1 <= kept <= channels
    if channels >= 2 * round_to and kept < channels:
        assert kept % round_to == 0


@given(CHANNELS, st.floats(0, 0.95), st.floats(0, 0.05), BLOCKS)
def test_a_higher_ratio_never_keeps_more_channels(channels, ratio, more, round_to):
    wide, narrow = (channels_to_keep(channels, r, round_to) for r in (ratio, ratio + more))
    assert narrow <= wide


@given(st.integers(1, 32), st.integers(1, 64), RATIOS, BLOCKS)
def test_whole_units_stay(units, granularity, ratio, round_to):
    channels = units * granularity
    kept = channels_to_keep(channels, ratio, round_to, granularity)
    assert granularity <= kept <= channels
    assert kept % granularity == 0
    assert kept == channels or kept % block_of(channels, round_to, granularity) == 0


@given(CHANNELS, BLOCKS)
def test_a_ratio_of_nothing_keeps_everything(channels, round_to):
    assert channels_to_keep(channels, 0, round_to) == channels


@given(
    st.lists(st.integers(16, 256), min_size=1, max_size=6),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 1000),
)
def test_of_the_whole_network_the_least_important_leave_in_blocks(widths, share, other, seed):
    space = rooms(*widths)
    chance = np.random.default_rng(seed)
    family = ranked(space, {room.group.name: chance.random(room.group.units) for room in space})
    few, many = sorted((share, other))
    for room in space:
        kept = family(share)[room.group.name]
        assert family(many)[room.group.name] <= family(few)[room.group.name] <= room.group.units
        assert kept == room.group.units or kept % room.block == 0
        assert kept >= room.block
        assert kept >= 0.05 * room.group.units


@given(
    st.lists(st.integers(32, 256), min_size=1, max_size=8), st.floats(0, 0.5), st.integers(0, 99)
)
def test_ranking_the_whole_network_removes_the_share_within_a_block(widths, ratio, seed):
    space = rooms(*widths)
    chance = np.random.default_rng(seed)
    family = ranked(space, {room.group.name: chance.random(room.group.units) for room in space})
    count = cost_of(nn.Identity(), [room.group for room in space], (), PruningUnit.CHANNELS)
    kept = nearest_to(
        ratio, family, count, whole=sum(widths), of="channels", order=[r.group.name for r in space]
    )
    assert abs(count(kept) - (1 - ratio) * sum(widths)) <= 8


def test_a_layer_that_matters_less_loses_more():
    space = rooms(64, 64)
    scores = {"layer0": np.linspace(0.0, 1.0, 64), "layer1": np.linspace(0.9, 2.0, 64)}
    kept = ranked(space, scores)(0.5)
    assert kept["layer0"] < 16
    assert kept["layer1"] > 48


def test_the_same_share_leaves_every_layer_whatever_its_width():
    assert uniform(rooms(32, 64, 128, round_to=16))(0.5) == {
        "layer0": 16,
        "layer1": 32,
        "layer2": 64,
    }


def test_a_share_is_of_the_original_width():
    narrower = PrunableGroup(group=group("layer", 48), channels=64, round_to=16)
    assert narrower.units_at(0.5) == 32
    assert narrower.units_at(0.1) == 48, "it does not grow again"


def test_a_share_of_the_macs_is_met_within_a_block_of_a_layer():
    network, shape = build("efficientnet_lite0", in_channels=1, classes=7).eval(), (1, 28, 28)
    groups = channel_groups(network, shape)
    cost = cost_of(network, groups, shape, PruningUnit.MACS)
    space = tuple(
        PrunableGroup(group=g, channels=g.channels, round_to=16) for g in groups if g.prunable
    )
    order = [g.name for g in groups]
    for ratio in (0.3, 0.5, 0.7, 0.85):
        kept = nearest_to(ratio, uniform(space), cost, whole=cost({}), of="MACs", order=order)
        assert 1 - cost(kept) / cost({}) == pytest.approx(ratio, abs=0.02)


def test_more_than_one_block_in_every_layer_leaves_room_for_is_refused():
    network, shape = lively(build("motion_cnn", in_channels=6, classes=7), (6, 128)), (6, 128)
    groups = channel_groups(network, shape)
    cost = cost_of(network, groups, shape, PruningUnit.MACS)
    space = tuple(
        PrunableGroup(group=g, channels=g.channels, round_to=64) for g in groups if g.prunable
    )
    with pytest.raises(RefusedError, match=r"95.0% of the MACs cannot be removed: .* are gone"):
        nearest_to(0.95, uniform(space), cost, whole=cost({}), of="MACs", order=())


def test_an_unknown_layer_is_refused_with_the_nearest_names():
    with pytest.raises(RefusedError, match=r"named layre1.*nearest names are layer1, layer0"):
        named([("layre1", 0.5)], [group("layer0", 8), group("layer1", 8)])


def test_a_layer_that_must_stay_whole_is_refused_with_its_reason():
    head = group("head", 8, unprunable_reason="its channels are the network's outputs.")
    with pytest.raises(RefusedError, match="head cannot lose channels: its channels are the net"):
        named([("head", 0.5)], [head])
    assert named([("head", 0.0)], [head]) == {"head": 0.0}


def test_a_layer_that_follows_another_is_told_which():
    together = ChannelGroup(name="one", layers=("one", "two"), channels=8, order=0)
    with pytest.raises(RefusedError, match=r"two shrinks together with one.*Name one instead"):
        named([("two", 0.5)], [together])
