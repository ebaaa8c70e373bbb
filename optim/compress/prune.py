"""Structured pruning: whole channels leave, and with them everything that depends on them.

Which layers must shrink together (residual sums, concatenations, depthwise convolutions) is read
off the dependency graph of Fang et al. 2023, "DepGraph: Towards Any Structural Pruning", by the
torch-pruning library. Which channels of a group leave is decided by their magnitude over the whole
group (their equation 4). How many stay is ours: blocks of channels, because kernels run in blocks
and latency is a staircase; a layer never falls below one block, and a narrow layer uses a smaller
one.
"""

from __future__ import annotations

import copy
import warnings

import torch
from torch import nn

from optim.compress.blocks import bypassed, remove_blocks
from optim.datasets import Split
from optim.recipe import Prune

BLOCK_EXAMPLES = 64
"""On so many a block shows how much it matters."""


def channels_to_keep(channels: int, ratio: float, round_to: int) -> int:
    """How many of ``channels`` stay when a share ``ratio`` is asked to go.

    The block is halved until at least two of it fit, so that a layer of 24 channels is cut in
    blocks of 8 when ``round_to`` is 16. At least one block stays.

    >>> channels_to_keep(64, 0.5, 16), channels_to_keep(24, 0.5, 16), channels_to_keep(64, 0.9, 16)
    (32, 16, 16)
    """
    block = round_to
    while block > 1 and channels < 2 * block:
        block //= 2
    kept = round(channels * (1 - ratio) / block) * block
    return min(channels, max(block, kept))


def prune(
    network: nn.Module, step: Prune, *, examples: Split, seed: int, original: nn.Module
) -> nn.Module:
    """Remove blocks, then channels; nothing is trained here.

    Args:
        network: any network that torch-pruning can trace; it is left alone.
        step: what leaves; what belongs to fine-tuning is not used.
        examples: at least 2: on these blocks and channels show how much they matter.
        seed: of random scores.
        original: the network that ``step.ratio`` is a share of; before a later round it is wider
            than ``network``.

    Returns:
        A smaller copy on the CPU, in evaluation mode, with the same inputs and outputs.

    Raises:
        RefusedError: if fewer blocks can leave than are asked to.
    """
    network = remove_blocks(network, step.blocks, examples.inputs[:BLOCK_EXAMPLES])
    return _uniformly(network, step.ratio, step.round_to, examples.inputs.shape[1:])


def narrow(network: nn.Module, width: float, input_shape: tuple[int, ...]) -> nn.Module:
    """A copy with a share ``width`` of the channels in every layer, in blocks of 16."""
    return _uniformly(copy.deepcopy(network).eval(), 1 - width, 16, input_shape)


def _uniformly(
    network: nn.Module, ratio: float, round_to: int, input_shape: tuple[int, ...]
) -> nn.Module:
    """Remove the same share of channels in every layer, in the network itself."""
    import torch_pruning as tp

    example = torch.zeros(2, *input_shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = tp.DependencyGraph().build_dependency(network, example_inputs=example)
    magnitude = tp.importance.GroupMagnitudeImportance(p=2)
    groups = graph.get_all_groups(
        ignored_layers=[output_layer(network)],
        root_module_types=[nn.Conv1d, nn.Conv2d, nn.Linear],
    )
    for group in groups:
        layer, function = group[0].dep.target.module, group[0].dep.handler
        channels = graph.get_out_channels(layer)
        leaving = channels - channels_to_keep(channels, ratio, round_to)
        if leaving > 0:
            order = magnitude(group).argsort()
            graph.get_pruning_group(layer, function, order[:leaving].tolist()).prune()
    return network


def output_layer(network: nn.Module) -> nn.Module:
    """The last layer with weights: its outputs are the classes and must stay."""
    layers = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]
    return layers[-1]


def fresh_weights(network: nn.Module, *, seed: int) -> nn.Module:
    """A copy with the same shapes and new random weights, as its layers initialise themselves."""
    network = copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in network.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear | nn.modules.batchnorm._BatchNorm):
                module.reset_parameters()
    return network


def fit_to_state(network: nn.Module, state: dict[str, torch.Tensor]) -> nn.Module:
    """Shrink a freshly built network to the shapes of a pruned one's weights, and load them.

    Args:
        network: the original architecture; it is left alone.
        state: the pruned network's ``state_dict``.

    Raises:
        KeyError: if a weight is missing: the state belongs to another architecture.
    """
    network = bypassed(network, state)
    for prefix, module in network.named_modules():
        depthwise = isinstance(module, nn.Conv1d | nn.Conv2d) and module.groups > 1
        for name, _ in list(module.named_parameters(recurse=False)):
            tensor = state[f"{prefix}.{name}" if prefix else name]
            setattr(module, name, nn.Parameter(tensor.clone()))
        for name, _ in list(module.named_buffers(recurse=False)):
            setattr(module, name, state[f"{prefix}.{name}" if prefix else name].clone())
        match module:
            case nn.Conv1d() | nn.Conv2d():
                module.out_channels = module.weight.shape[0]
                if depthwise:
                    module.groups = module.out_channels // module.weight.shape[1]
                module.in_channels = module.weight.shape[1] * module.groups
            case nn.Linear():
                module.out_features, module.in_features = module.weight.shape
            case nn.modules.batchnorm._BatchNorm():
                module.num_features = module.weight.shape[0]
    return network.eval()
