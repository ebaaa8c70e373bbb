"""The networks of the sample tasks, taken from timm and torchvision, adapted to small inputs.

Published networks open with a stride (and often a pooling) made for 224 x 224 photographs. On 28 x
28 pixels that throws the picture away, so the stem keeps the resolution. This is the only place
that knows such adaptations; everything else sees an ordinary ``torch.nn.Module``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from optim.recipe import Architecture

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = tuple(Architecture)
FOR_SERIES = (Architecture.MOTION_CNN,)
"""Those for windows (C, L); the others are for images (C, H, W)."""


def build(architecture: str, *, in_channels: int, classes: int) -> nn.Module:
    """Build an untrained network.

    Args:
        architecture: one of ``ARCHITECTURES``.
        in_channels: channels of the input, C.
        classes: length of the logits.

    Returns:
        A module from (N, C, H, W), or (N, C, L) for ``motion_cnn``, to logits (N, classes),
        float32.

    Raises:
        ValueError: if the architecture is unknown.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"architecture must be one of {', '.join(ARCHITECTURES)}; got {architecture!r}."
        )
    from optim.task.motion_cnn import MotionCNN

    match Architecture(architecture):
        case Architecture.RESNET:
            return _resnet(in_channels, classes)
        case Architecture.SMALL_RESNET:
            return _small_resnet(in_channels, classes)
        case Architecture.MOBILENETV2:
            return _timm_stem_stride_1("mobilenetv2_050", in_channels, classes)
        case Architecture.EFFICIENTNET_LITE0:
            return _timm_stem_stride_1("efficientnet_lite0", in_channels, classes)
        case Architecture.SQUEEZENET:
            return _squeezenet(in_channels, classes)
        case Architecture.MOTION_CNN:
            return MotionCNN(in_channels, classes, (64, 128, 192))


def _resnet(in_channels: int, classes: int) -> nn.Module:
    from timm.models.resnet import BasicBlock, ResNet
    from torch import nn

    network: Any = ResNet(
        cast("Any", BasicBlock),
        layers=(1, 1, 1, 1),
        channels=(64, 128, 192, 256),
        in_chans=in_channels,
        num_classes=classes,
    )
    network.conv1 = nn.Conv2d(in_channels, 64, kernel_size=3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    return _module(network)


def _small_resnet(in_channels: int, classes: int) -> nn.Module:
    """Return the residual network without its first stage, the one at full resolution."""
    from torch import nn

    network: Any = _resnet(in_channels, classes)
    network.layer1 = nn.Identity()
    return _module(network)


def _timm_stem_stride_1(name: str, in_channels: int, classes: int) -> nn.Module:
    import timm

    network: Any = timm.create_model(name, in_chans=in_channels, num_classes=classes)
    network.conv_stem.stride = (1, 1)
    return _module(network)


def _squeezenet(in_channels: int, classes: int) -> nn.Module:
    from torch import nn
    from torchvision.models import squeezenet1_1

    network: Any = squeezenet1_1(num_classes=classes, dropout=0.2)
    network.features[0] = nn.Conv2d(in_channels, 64, kernel_size=3, padding=1)
    return _module(network)


def _module(network: Any) -> nn.Module:
    """Return the module that an untyped library builds."""
    return cast("nn.Module", network)
