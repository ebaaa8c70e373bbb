"""Every field of every step, each described once; see ``field.py`` for what a description says.

A step's own attribute gives a field its type and its usual value. Everything else that is known of
it stands here: the checks of the step, the reading of files, the options of ``edge-optim run``, the
parameters of links, the controls of the pages, their explanations, the words of a recipe and the
commands that pages copy all follow. ``docs/adding.md`` shows how to add one.
"""

from __future__ import annotations

from collections.abc import Iterator

from optim.recipe.choices import (
    Activation,
    Activations,
    Architecture,
    Calibration,
    Criterion,
    DistillationLoss,
    Pattern,
    Precision,
    PruningUnit,
    Rounding,
    Scope,
    SparsifyMethod,
)
from optim.recipe.field import (
    Choice,
    Control,
    Field,
    Flag,
    Integer,
    Names,
    Number,
    Option,
    Table,
    read_value,
)

LEAST_RATIO, MAX_RATIO = 1e-4, 0.95
MAX_EPOCHS = 200
MAX_LAYERS = 1000
MAX_TEACHERS = 4
MAX_SEED = 2**31 - 1
BEST = "Default: the best found for TASK, else"

EPOCHS = Number(low=0, high=MAX_EPOCHS, unit="epochs")
DISTILL = Field(
    name="distill",
    kind=Flag(),
    option=Option(name="no-distill", alone=True, help="Train on labels alone, without a teacher."),
)
"""Of every training step alike; its option speaks to all of them."""
SCOPES = Choice(
    of=Scope,
    names={Scope.UNIFORM: "Same share in every layer", Scope.GLOBAL: "Least important of all"},
)
CRITERIA = Choice(
    of=Criterion,
    names={
        Criterion.L1: "L1 magnitude",
        Criterion.L2: "L2 magnitude",
        Criterion.BN_SCALE: "Batch-norm scale",
        Criterion.TAYLOR: "Taylor, by the loss",
        Criterion.FPGM: "Geometric median",
        Criterion.LAMP: "LAMP",
        Criterion.RANDOM: "Random, the control",
    },
)
ACTIVATION_KINDS = Choice(of=Activation, names={Activation.RELU: "ReLU", Activation.RELU6: "ReLU6"})
FAMILIES = Choice(
    of=Architecture,
    names={
        Architecture.RESNET: "ResNet",
        Architecture.SMALL_RESNET: "small ResNet",
        Architecture.MOBILENETV2: "MobileNetV2",
        Architecture.EFFICIENTNET_LITE0: "EfficientNet-Lite0",
        Architecture.SQUEEZENET: "SqueezeNet",
        Architecture.MOTION_CNN: "Motion CNN",
    },
)

REPLACE = (
    Field(
        name="architecture",
        kind=FAMILIES,
        defines=True,
        option=Option(
            name="student",
            asks=True,
            help="Another architecture takes the network's place and learns its answers.",
        ),
    ),
    Field(
        name="width",
        kind=Number(low=0.1, high=1, unit="share"),
        remedy="Try 0.5.",
        option=Option(name="width", help="Of the student's layers, 0.1 to 1. Default: 1."),
    ),
    Field(
        name="stride",
        kind=Integer(low=1, high=2),
        remedy="Try 1.",
        option=Option(
            name="stride",
            help="Of the student's first layer; 2 halves the resolution. Default: 1.",
        ),
    ),
    Field(
        name="epochs",
        kind=EPOCHS,
        remedy="Try 10.",
        option=Option(
            name="student-epochs",
            help="Training of the student, in passes over the data; 0 leaves it to "
            "--distill-epochs. Default: 10.",
        ),
    ),
    DISTILL,
)
REPLACE_ACTIVATION = (
    Field(
        name="activation",
        kind=ACTIVATION_KINDS,
    ),
    Field(name="epochs", kind=EPOCHS, remedy="Try 1."),
    DISTILL,
)
PRUNE = (
    Field(
        name="ratio",
        kind=Number(low=0, high=MAX_RATIO, unit="share"),
        remedy="A layer needs at least one channel; try 0.9.",
        defines=True,
        option=Option(name="prune", asks=True, help="Share to remove of --prune-unit, 0 to 0.95."),
    ),
    Field(
        name="unit",
        kind=Choice(
            of=PruningUnit,
            names={PruningUnit.MACS: "MACs"},
        ),
        matters="has_ratio",
        option=Option(
            name="prune-unit",
            help="What --prune is a share of: channels, or the network's parameters or MACs. "
            "Default: channels.",
        ),
    ),
    Field(
        name="scope",
        kind=SCOPES,
        suits=True,
        matters="has_ratio",
        short={Scope.GLOBAL: "globally"},
        option=Option(
            name="scope",
            help="The same share in every layer, or the least important channels of the whole "
            f"network. {BEST} uniform.",
        ),
        control=Control(
            key="scope",
            label="Scope",
            about="Whether every layer loses the same share, or the least important channels of "
            "the whole network are pruned, so that some layers lose more than others.",
            wide=True,
        ),
    ),
    Field(
        name="criterion",
        kind=CRITERIA,
        suits=True,
        matters="cuts_channels",
        short={
            Criterion.L1: "by L1",
            Criterion.BN_SCALE: "by batch-norm scale",
            Criterion.TAYLOR: "by Taylor",
            Criterion.FPGM: "by FPGM",
            Criterion.LAMP: "by LAMP",
            Criterion.RANDOM: "by chance",
        },
        option=Option(name="criterion", help=f"Which channels of a layer are pruned. {BEST} l2."),
        control=Control(
            key="criterion",
            label="Criterion",
            about="How it is decided which channels matter least: by the size of their weights, "
            "by what the loss would miss, by how well others can replace them, or, as the "
            "control, by chance.",
            wide=True,
        ),
    ),
    Field(
        name="rounds",
        kind=Integer(low=1, high=20),
        remedy="Try 4.",
        suits=True,
        matters="has_ratio_alone",
        short="in {value} rounds",
        option=Option(
            name="rounds",
            help=f"Cut and train in so many rounds; each is kept as a candidate. {BEST} 1.",
        ),
        control=Control(
            key="rounds",
            label="Rounds",
            about="Prune a little, train, and prune again, so often. The epochs are spread over "
            "the rounds, and each finished round is a candidate of its own.",
            high=6,
        ),
    ),
    Field(
        name="round_to",
        kind=Integer(low=1, high=256),
        remedy="Try 16.",
        suits=True,
        matters="cuts_channels",
        short="in blocks of {value}",
        option=Option(name="round-to", help=f"Kept channels are a multiple of this. {BEST} 16."),
        control=Control(
            key="round_to",
            label="Channels in blocks of",
            term="Blocks of channels",
            about="Kept channels are a multiple of this. Engines compute in blocks, so a layer of "
            "33 channels takes as long as one of 48.",
        ),
    ),
    Field(
        name="layers",
        kind=Table(values=Number(low=0, high=MAX_RATIO), of="ratios", most=MAX_LAYERS),
        remedy="Try 0.5.",
        defines=True,
        option=Option(
            name="layer-ratio",
            asks=True,
            help="Share of the channels of one layer, instead of --prune there; repeatable.",
        ),
    ),
    Field(
        name="blocks",
        kind=Integer(low=0, high=64),
        remedy="Try 1.",
        defines=True,
        option=Option(
            name="blocks", asks=True, help="Residual blocks to replace by their shortcut."
        ),
    ),
    Field(
        name="keep_weights",
        kind=Flag(),
        option=Option(
            name="from-scratch",
            help="Throw the weights away and train the small network anew: the honest control.",
        ),
    ),
    Field(
        name="epochs",
        kind=EPOCHS,
        remedy="Try 1.",
        suits=True,
        option=Option(
            name="epochs",
            alone=True,
            help="Fine-tuning after pruning, in passes over the data. Default: what suits TASK.",
        ),
    ),
    DISTILL,
)
DISTILLATION = (
    Field(
        name="epochs",
        kind=EPOCHS,
        remedy="Try 5.",
        option=Option(
            name="distill-epochs",
            asks=True,
            help="Learn from a teacher for so many passes over the data, after everything that is "
            "cut.",
        ),
    ),
    Field(
        name="teacher",
        kind=Names(of="task", most=MAX_TEACHERS),
        matters="distill",
        option=Option(
            name="teacher",
            help="A task on the same data whose network teaches; several are an ensemble. "
            "Default: the original.",
        ),
    ),
    Field(
        name="loss",
        kind=Choice(of=DistillationLoss),
        matters="distill",
        short="{value}",
        option=Option(name="distill-loss", help="What of the teacher is imitated. Default: soft."),
        control=Control(
            key="teacher_loss",
            label="Imitates",
            term="Loss",
            about="What of the teacher is imitated. Soft: its answers with all doubts (Hinton "
            "2015). Decoupled: the right class and the doubts apart (Zhao 2022). Hints: its "
            "answers, and features inside it (Romero 2015).",
        ),
    ),
    Field(
        name="temperature",
        kind=Number(low=0.5, high=20),
        remedy="Try 4.",
        matters="distill",
        short="T {value}",
        told="the temperature was {value}",
        always_told=True,
        option=Option(name="temperature", help="Softens the answers. Default: 4."),
        control=Control(
            key="temperature",
            label="Temperature",
            about="Softens the teacher's answers: at a high temperature its doubts between the "
            "wrong classes become visible, and they say which classes are alike. 2 to 6 is usual.",
            low=1,
            step=0.5,
            slider=True,
        ),
    ),
    Field(
        name="alpha",
        kind=Number(low=0, high=1),
        remedy="Try 0.7.",
        matters="distill",
        short="alpha {value}",
        option=Option(
            name="alpha",
            help="Weight of the teacher against the labels; 0 has no teacher. Default: 0.7.",
        ),
        control=Control(
            key="alpha",
            label="Teacher against labels (alpha)",
            term="Alpha",
            about="How much the teacher counts against the labels: 1 is the teacher alone. "
            "Training without a teacher is 0, and that is what the second button trains beside it.",
            low=0.05,
            step=0.05,
            slider=True,
        ),
    ),
    Field(
        name="labels",
        kind=Flag(),
        matters="distill",
        short="no labels",
        told="no label was used",
        option=Option(name="no-labels", help="Use no label: the teacher gives them."),
        control=Control(
            key="train_labels",
            label="Learn from labels too",
            term="Labels",
            about="Off: no label of the training data is used, the teacher's answers are all "
            "there is. So learns who has pictures but nobody to label them.",
            folded=True,
        ),
    ),
    Field(
        name="data_share",
        kind=Number(low=0.001, high=1, unit="share"),
        remedy="Try 0.1.",
        short="{percent} of the data",
        told="{percent} of the training data was used",
        option=Option(name="data-share", help="Of the training data. Default: 1."),
        control=Control(
            key="data_share",
            label="Share of the training data, %",
            term="Data share",
            about="Only so much of the training data is used, drawn by the seed and the same from "
            "each class. It shows how little is enough, and what the teacher is worth then.",
            stops=(1, 3, 10, 30, 100),
            folded=True,
        ),
    ),
    Field(
        name="patience",
        kind=Integer(low=0, high=MAX_EPOCHS),
        remedy="Try 3.",
        option=Option(
            name="patience",
            help="Stop after so many epochs without a better accuracy on validation. "
            "Default: never.",
        ),
        control=Control(
            key="patience",
            label="Patience, epochs (0: never stop early)",
            term="Patience",
            about="Stop after so many epochs without a better accuracy on validation. The best "
            "epoch is kept in any case.",
            high=50,
            folded=True,
        ),
    ),
)
SPARSIFY = (
    Field(
        name="sparsity",
        kind=Number(low=0, above=True, high=0.99, unit="share"),
        remedy="Try 0.5.",
        option=Option(name="sparsity", asks=True, help="Weights that become zero."),
    ),
    Field(
        name="pattern",
        kind=Choice(
            of=Pattern,
            names={
                Pattern.UNSTRUCTURED: "Anywhere",
                Pattern.TWO_OF_FOUR: "2 of 4 neighbours",
                Pattern.FOUR_OF_EIGHT: "4 of 8 neighbours",
            },
        ),
        option=Option(
            name="pattern",
            asks=True,
            help="Which zeros are allowed; 2:4 and 4:8 make half of the weights zero. "
            "Default: unstructured.",
        ),
        control=Control(
            key="pattern",
            label="Pattern",
            about="Where zeros may be. With 2 of 4, two of each four neighbouring weights are "
            "zero, which some accelerators can skip; half of all weights are zero then.",
        ),
    ),
    Field(name="scope", kind=SCOPES, short={Scope.GLOBAL: "globally"}),
    Field(
        name="method",
        kind=Choice(
            of=SparsifyMethod,
            names={
                SparsifyMethod.MAGNITUDE: "Smallest at once",
                SparsifyMethod.GRADUAL: "Smallest, gradually",
                SparsifyMethod.SPARSEGPT: "Repaired, untrained",
            },
            renamed={SparsifyMethod.SPARSEGPT: "repair"},
        ),
        short={SparsifyMethod.GRADUAL: "gradually", SparsifyMethod.SPARSEGPT: "by SparseGPT"},
        option=Option(name="sparsify-method", help="How weights become zero. Default: magnitude."),
        control=Control(
            key="zeros",
            label="How they are chosen",
            term="Choice of zeros",
            about="The smallest weights at once, or more and more of them while training, or "
            "those that the outputs miss least, with the others taking over their work and no "
            "training at all (SparseGPT, Frantar and Alistarh 2023).",
        ),
    ),
    Field(
        name="epochs",
        kind=EPOCHS,
        remedy="Try 1.",
        option=Option(
            name="sparsify-epochs",
            help="Training with the zeros held, in passes over the data. Default: what suits "
            "TASK; 0 for sparsegpt.",
        ),
    ),
    DISTILL,
)
QUANTIZE_AWARE = (
    Field(name="weight_bits", kind=Integer(low=4, high=8, step=4), remedy="Try 4."),
    Field(
        name="epochs",
        kind=EPOCHS,
        remedy="Try 1.",
        option=Option(
            name="qat-epochs",
            asks=True,
            help="Train quantization-aware, for 4- or 8-bit weights, in passes over the data; "
            "only beside --quantize int4 or int8.",
        ),
    ),
    Field(name="per_channel", kind=Flag(), told="each layer has one scale"),
    Field(
        name="learned_scales",
        kind=Flag(),
        short="with learned scales",
        told="the scales were learnt with the weights",
        option=Option(name="learned-scales", help="Beside --qat-epochs: train the scales as well."),
        control=Control(
            key="learned_scales",
            label="Learn scales",
            term="Learned scales",
            about="The quantizer's scales are trained together with the weights (LSQ, Esser et al. "
            "2020).",
        ),
    ),
    DISTILL,
)
QUANTIZE = (
    Field(
        name="precision",
        kind=Choice(of=Precision),
        defines=True,
        option=Option(name="quantize", asks=True, help="Precision of the file. Default: fp32."),
    ),
    Field(
        name="activations",
        kind=Choice(of=Activations, optional=True),
        short="{value} activations",
        option=Option(
            name="activations",
            help="In what results between layers are computed. Default: uint8; float for fp16.",
        ),
        control=Control(
            key="activations",
            label="Activations",
            about="In what the results between the layers are computed. Unsigned integers "
            "are what x86 processors are fast at; float leaves them as they are, so only the file "
            "shrinks.",
        ),
    ),
    Field(
        name="calibration",
        kind=Choice(of=Calibration),
        matters="calibrates",
        short="{value}",
        told={
            Calibration.MOVING_AVERAGE: "ranges are moving averages of the extremes",
            Calibration.PERCENTILE: "ranges leave out the outermost values",
            Calibration.ENTROPY: "ranges end where least information is lost",
            Calibration.MSE: "ranges end where the squared error is least",
        },
        option=Option(
            name="calibration",
            help="How activation ranges are read off examples. Default: minmax.",
        ),
        control=Control(
            key="calibration",
            label="Calibration",
            about="Running a few hundred training examples through the network to see how large "
            "the values get inside, so that the INT8 grid fits them. The test examples are never "
            "used for it.",
        ),
    ),
    Field(
        name="calibration_examples",
        kind=Integer(low=8, high=512),
        remedy="Try 512.",
        matters="calibrates",
        told="ranges were read off {value} training examples",
        always_told=True,
        option=Option(name="calibration-examples", help="8 to 512. Default: 512."),
        control=Control(
            key="examples",
            label="Examples",
            term="Calibration examples",
            about="How many training examples the ranges are read from. A few hundred are usually "
            "enough; fewer are quicker, and show how much the choice matters.",
            step=8,
        ),
    ),
    Field(
        name="calibration_seed",
        kind=Integer(low=0, high=MAX_SEED),
        remedy="Try 0.",
        short="seed {value}",
    ),
    Field(
        name="rounding",
        kind=Choice(
            of=Rounding,
            names={Rounding.GPTQ: "GPTQ", Rounding.ADAROUND: "AdaRound"},
            optional=True,
            renamed={Rounding.GPTQ: "compensated", Rounding.ADAROUND: "learned"},
        ),
        short={
            Rounding.NEAREST: "nearest rounding",
            Rounding.GPTQ: "GPTQ",
            Rounding.ADAROUND: "AdaRound",
        },
        told={
            Rounding.NEAREST: "each weight went to the nearest level",
            Rounding.GPTQ: "weights were rounded so that the errors of a layer cancel",
            Rounding.ADAROUND: "whether a weight goes up or down was learnt from examples",
        },
        option=Option(
            name="rounding",
            help="To which level a weight goes. Default: nearest; gptq for int4.",
        ),
        control=Control(
            key="rounding",
            label="Rounding",
            about="To which neighbouring level each weight goes. Nearest is simplest; GPTQ and "
            "AdaRound look at real examples, which pays where there are few levels, as in INT4.",
        ),
    ),
    Field(
        name="per_channel",
        kind=Flag(),
        short="per tensor",
        told="each layer has one scale instead of one per channel",
        option=Option(name="per-tensor", help="One weight scale instead of one per channel."),
        control=Control(
            key="per_channel",
            label="Scale per channel",
            about="Each output channel of a layer has its own grid instead of one for the whole "
            "layer. It costs nothing on this engine and saves accuracy, most of all in depthwise "
            "layers.",
        ),
    ),
    Field(
        name="bias_correction",
        kind=Flag(),
        short="bias corrected",
        told="the mean error of each channel was taken out of its bias",
        option=Option(
            name="bias-correction", help="Take each channel's mean error out of the bias."
        ),
        control=Control(
            key="bias",
            label="Bias correction",
            about="Quantization shifts the mean of each channel a little; this takes the shift "
            "out of the bias again (Nagel et al. 2019).",
        ),
    ),
    Field(
        name="equalize",
        kind=Flag(),
        short="equalized",
        told="ranges were evened out between neighbouring layers",
        option=Option(name="equalize", help="Even out the ranges of channels between layers."),
        control=Control(
            key="equalize",
            label="Equalize layers",
            about="Scales move between neighbouring layers until the channels of one layer have "
            "equal ranges, so that one grid fits them all (Nagel et al. 2019).",
        ),
    ),
    Field(
        name="smooth",
        kind=Number(low=0, high=1, unit="share"),
        remedy="Try 0.5.",
        short="smoothed {value}",
        told="ranges moved from activations into weights",
        option=Option(
            name="smooth",
            help="Move this share of the activations' range into matrix products, 0 to 1.",
        ),
        control=Control(
            key="smooth",
            label="Smoothing, 0 to 1",
            term="Smoothing",
            about="The share of the activations' range that moves into the weights behind them; "
            "it helps matrix products with a few very large values (SmoothQuant, Xiao et al. "
            "2023).",
            step=0.1,
        ),
    ),
)
MIXED_PRECISION = (
    Field(
        name="layers",
        kind=Table(values=Choice(of=Precision), of="precisions", most=MAX_LAYERS),
    ),
)

FIELDS: dict[str, tuple[Field, ...]] = {
    "replace": REPLACE,
    "replace_activation": REPLACE_ACTIVATION,
    "prune": PRUNE,
    "distill": DISTILLATION,
    "sparsify": SPARSIFY,
    "quantize_aware": QUANTIZE_AWARE,
    "fuse": (),
    "quantize": QUANTIZE,
    "mixed_precision": MIXED_PRECISION,
}
"""By the kind of step, in the order in which words, options and controls name them."""
FORMAT = max(field.since for fields in FIELDS.values() for field in fields)
"""The newest version of the recipe format."""


def check_fields(step: object, kind: str) -> None:
    """Read every field of a step that is being born, as a stranger may have written it.

    Args:
        step: a frozen dataclass, in its ``__post_init__``.
        kind: of the step, as files name it.

    Raises:
        ValueError: naming step and field, what must hold, what came, and what to do.
    """
    for field in FIELDS[kind]:
        given = getattr(step, field.name)
        value = read_value(given, field.kind, f"{kind} {field.name}", field.remedy)
        object.__setattr__(step, field.name, value)


def controls() -> Iterator[tuple[str, Field, Control]]:
    """Yield every field with a control of its own: the kind of its step, the field, its control."""
    for kind, fields in FIELDS.items():
        for field in fields:
            if field.control is not None:
                yield kind, field, field.control
