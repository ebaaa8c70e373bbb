"""The networks of the sample tasks, taken from timm and torchvision, adapted to small inputs.

Published networks open with a stride (and often a pooling) made for 224 x 224 photographs. On 28 x
28 pixels that throws the picture away, so the stem keeps the resolution. This is the only place
that knows such adaptations; everything else sees an ordinary ``torch.nn.Module``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = ("resnet", "mobilenetv2", "efficientnet_lite0", "squeezenet", "motion_cnn")


def build(architecture: str, *, in_channels: int, classes: int, width: float = 1.0) -> nn.Module:
    """Build an untrained network.

    Args:
        architecture: one of ``ARCHITECTURES``.
        in_channels: channels of the input, C.
        classes: length of the logits.
        width: multiplies the stage widths of ``resnet`` and ``motion_cnn`` (rounded to 16
        channels).
            A narrower network trained from scratch is the honest control for a pruned one.

    Returns:
        A module from (N, C, H, W), or (N, C, L) for ``motion_cnn``, to logits (N, classes),
        float32.

    Raises:
        ValueError: if the architecture is unknown, or has no width to multiply.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"architecture must be one of {', '.join(ARCHITECTURES)}; got {architecture!r}."
        )
    match architecture:
        case "resnet":
            return _resnet(in_channels, classes, width)
        case "motion_cnn":
            return _motion_cnn(in_channels, classes, width)
    if width != 1.0:
        raise ValueError(f"{architecture} has a fixed width; got width={width}. Use 1.0.")
    match architecture:
        case "mobilenetv2":
            return _timm_stem_stride_1("mobilenetv2_050", in_channels, classes)
        case "efficientnet_lite0":
            return _timm("efficientnet_lite0", in_channels, classes)
        case _:
            return _squeezenet(in_channels, classes)


def scaled_widths(widths: tuple[int, ...], width: float) -> tuple[int, ...]:
    """Multiply channel counts and round to 16, never below 16.

    >>> scaled_widths((64, 128), 0.5)
    (32, 64)
    """
    return tuple(max(16, round(channels * width / 16) * 16) for channels in widths)


def _resnet(in_channels: int, classes: int, width: float) -> nn.Module:
    from timm.models.resnet import BasicBlock, ResNet
    from torch import nn

    channels = scaled_widths((64, 128, 192, 256), width)
    network: Any = ResNet(
        BasicBlock,
        layers=(1, 1, 1, 1),
        channels=channels,
        in_chans=in_channels,
        num_classes=classes,
    )
    network.conv1 = nn.Conv2d(in_channels, 64, kernel_size=3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    if channels[0] != 64:
        _narrow_resnet_stem(network, in_channels, channels[0])
    return _module(network)


def _narrow_resnet_stem(network: Any, in_channels: int, channels: int) -> None:
    """Give the stem the width of the first stage, as pruning does; timm fixes it at 64."""
    from torch import nn

    block = network.layer1[0]
    network.conv1 = nn.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=False)
    network.bn1 = nn.BatchNorm2d(channels)
    block.conv1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
    block.downsample = None


def _timm(name: str, in_channels: int, classes: int) -> nn.Module:
    import timm

    return _module(timm.create_model(name, in_chans=in_channels, num_classes=classes))


def _timm_stem_stride_1(name: str, in_channels: int, classes: int) -> nn.Module:
    network: Any = _timm(name, in_channels, classes)
    network.conv_stem.stride = (1, 1)
    return _module(network)


def _squeezenet(in_channels: int, classes: int) -> nn.Module:
    from torch import nn
    from torchvision.models import squeezenet1_1

    network: Any = squeezenet1_1(num_classes=classes, dropout=0.2)
    network.features[0] = nn.Conv2d(in_channels, 64, kernel_size=3, padding=1)
    return _module(network)


def _motion_cnn(in_channels: int, classes: int, width: float) -> nn.Module:
    from optim.motion_cnn import MotionCNN

    return MotionCNN(in_channels, classes, scaled_widths((64, 128, 192), width))


def _module(network: Any) -> nn.Module:
    """The libraries are not typed; what they build is a module all the same."""
    return cast("nn.Module", network)
