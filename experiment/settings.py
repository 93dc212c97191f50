"""Settings that change the result of a training or a trial; each is one field of a dataclass.

A field gives the flag with type and help, the CSV column and its value in older rows, the part of
the key of a row, and the part of the names of folders and files. Default values stay out of names.
"""

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path

import data
import scnnb
from data.dataset import PIXELS
from experiment import checks, layer_ratios
from pruning import criteria

PRUNE, TRAIN = "what to prune", "how to train"  # groups of --help


def setting(flag="", *, default=dataclasses.MISSING, column="", name="{}", group=PRUNE, **parsed):
    """A field that changes results.

    Args:
        flag: name of its position on the command line, or `--flag`; "" if it has none.
        default: value if the flag is not given, and of an older row that lacks the column; or a
            function of the row. Without one, the flag must be given and every row has the column.
        column: of the CSV, if it is not the field's name.
        name: how a value that is not the default stands in names; or a function of it.
        group: heading in `--help` of a flag that may be left out.
        parsed: `help`, and if it has a flag, more keyword arguments of `add_argument`. With
            `nargs="+"` each value makes trials.
    """
    metadata = {"flag": flag, "default": default, "column": column, "name": name, "group": group}
    metadata["parsed"] = parsed
    fixed = dataclasses.MISSING if callable(default) else default
    return dataclasses.field(default=fixed, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of one training."""

    optimizer: str = setting(
        "--optimizer",
        group=TRAIN,
        default="adam",
        choices=["adam", "sgd"],
        help="Optimizer: adam (default), or sgd with momentum 0.9 and weight decay 5e-6 as in the "
        "SCNNB paper. Example: --optimizer sgd",
    )
    learning_rate: float = setting(
        "lr",
        name="lr{}",
        type=checks.learning_rate,
        help="Learning rate, a number above 0; it is constant. Example: 0.001",
    )
    batch_size: int = setting(
        "batchSz",
        name="batch{}",
        type=checks.count,
        help="Batch size: images per training step. Example: 128",
    )
    augment: str = setting(
        "--augment",
        group=TRAIN,
        default="",
        action="store_const",
        const="crop-flip",
        help="Shift training images by up to 4 pixels and flip half of them left to right, at "
        "random in every epoch. Example: --augment",
    )
    precision: str = setting(
        "--precision",
        group=TRAIN,
        default="float32",
        choices=["float32", "bfloat16"],
        help="Number format of the training: float32 (default) or bfloat16. bfloat16 is about "
        "twice as fast on processors that support it, and an error on others. Stored weights and "
        "accuracies are always float32. Example: --precision bfloat16",
    )
    epochs: int = setting(
        "Epoch1",
        column="epoch1",
        name="epochs{}",
        type=checks.count,
        help="Epochs of training before pruning. Example: 35",
    )


@dataclass(frozen=True, kw_only=True)
class BaselineSettings:
    """Settings of a baseline.

    Attributes:
        content: start of a checksum of the names and contents of dataset and network.
        recipe: of its training; 0 epochs if the network is trained already.
    """

    dataset: str = setting(
        "dataset",
        type=checks.dataset,
        help=f"Images for training and testing: {', '.join(data.DATASETS)}, or the path of an .npz "
        "file (uint8 images x_train, x_test; integer labels y_train, y_test) or of a folder "
        "(images train/<class>/*.png, test/<class>/*.png). Example: fashion",
    )
    model: str = setting(
        "--model",
        type=checks.network,
        metavar="NAME|PATH",
        help=f"Network: {', '.join(scnnb.NETWORKS)} (default scnnb), or the path of a .keras or "
        ".h5 file, which is trained for Epoch1 more epochs. Example: --model vgg16",
    )
    recipe: Recipe
    pixels: str = setting(
        "--pixels",
        default="0..1",
        type=str.strip,  # the blank in front of -1..1
        choices=list(PIXELS),
        help="Range of pixel values that the network expects: 0..1 (default), 0..255 or -1..1. A "
        "network that begins with Rescaling(1/255), as many of keras.applications do, expects "
        "0..255. Example: --pixels 0..255",
    )
    backend: str = setting(
        default="tensorflow",
        help="Backend of Keras: tensorflow, jax or torch; set by the environment variable "
        "`KERAS_BACKEND`.",
    )
    seed: int = setting(name="seed{}", help="Seed of all random numbers: `--seed` or `--seeds`.")
    content: str = setting(
        default="",  # of older rows not known: they stay beside others
        help="Start of a checksum of the names and contents of dataset and network; empty in rows "
        "of older versions.",
    )


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """Settings of a trial: one baseline, pruned and retrained.

    Attributes:
        control: "", or the kind of network that the pruned one is compared with.
    """

    baseline: BaselineSettings
    pruning_ratio: float = setting(
        "filterPercentage",
        name="pruned{}",
        type=checks.ratio,
        nargs="+",
        help="Fraction of the filters to remove from each convolution, 0 <= fraction < 1. Several "
        "fractions share one baseline. Example: 0.4 removes 40 %%",
    )
    layer_ratios: str = setting(
        "--layer-ratios",
        default="",
        name=layer_ratios.shortened,
        type=checks.layer_ratios,
        metavar="NAME|FILE",
        help="Fractions for single layers; filterPercentage is for all others. The paper's "
        "vgg16-A, resnet56-A, resnet56-B, resnet110-A or resnet110-B, or a .json file "
        '{"layer name or glob": fraction}. Example: --layer-ratios vgg16-A',
    )
    coupled: str = setting(
        "--coupled",
        default="joint",
        choices=["joint", "shortcut", "skip"],
        help="Convolutions that must lose the same filters, for example before an addition: ranked "
        "by the sum of their scores (joint, default), by the 1x1 convolution on the shortcut "
        "(shortcut), or not pruned (skip). Example: --coupled skip",
    )
    criterion: str = setting(
        "--criterion",
        default="l1",
        choices=[*criteria.OF_KERNELS, *criteria.OF_FEATURE_MAPS],
        nargs="+",
        action="extend",
        metavar="NAME",
        help="Importance of a filter; the least important are removed. From its weights: l1 "
        "(default), l2, random, or largest, which removes the largest L1 norms. From its feature "
        "maps of the training images: mean-mean, mean-std, mean-l1, mean-l2 or var-l2. Each "
        "criterion is a trial of its own. Example: --criterion l1 random",
    )
    strategy: str = setting(
        "--strategy",
        default="independent",
        choices=["independent", "greedy"],
        help="Rank filters by all weights of the kernel (independent, default), or without the "
        "weights that read removed feature maps (greedy). Example: --strategy greedy",
    )
    schedule: str = setting(
        "--schedule",
        default="one-shot",
        choices=["one-shot", "iterative"],
        help="Prune all layers at once, then retrain (one-shot, default), or prune one layer after "
        "the other and retrain Epoch2 epochs after each (iterative). Example: --schedule iterative",
    )
    control: str = setting(
        "--control",
        group=TRAIN,
        default="",
        choices=["scratch"],
        help="For comparison, also train each pruned shape from new weights for Epoch1 + Epoch2 "
        "epochs. Example: --control scratch",
    )
    epoch2: int = setting(
        "Epoch2",
        name="retrained{}",
        type=checks.count,
        help="Epochs of retraining after pruning. Example: 30",
    )
    retrain_learning_rate: float = setting(
        "--retrain-lr",
        group=TRAIN,
        default=lambda row: row.get("learning_rate"),
        name="lr{}",
        type=checks.learning_rate,
        metavar="LR",
        help="Learning rate of the retraining, above 0 (default: lr). Example: --retrain-lr 0.0001",
    )

    @property
    def ratios(self):
        """`{layer name or glob: ratio}`, the ratios of single layers."""
        return layer_ratios.parsed(self.layer_ratios)

    @property
    def retraining(self):
        """The Recipe of the retraining, of each stage if there are several."""
        return dataclasses.replace(
            self.baseline.recipe, epochs=self.epoch2, learning_rate=self.retrain_learning_rate
        )

    @property
    def from_scratch(self):
        """The Recipe of a control that is trained from new weights."""
        epochs = self.baseline.recipe.epochs + self.epoch2
        return dataclasses.replace(self.baseline.recipe, epochs=epochs)


def fields(kind):
    """`{column: field}` of a dataclass of settings and those nested in it, in their order."""
    found = {}
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.type):
            found |= fields(field.type)
        else:
            found[_column(field)] = field
    return found


def row(settings):
    """`{column: value}` of settings and those nested in them."""
    found = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            found |= row(value)
        else:
            found[_column(field)] = value
    return found


def usual(field, row):
    """Value of a field if its flag is not given, and in older rows that lack its column."""
    default = field.metadata["default"]
    return default(row) if callable(default) else default


def folder_name(baseline: BaselineSettings):
    """Name of the folder of a baseline and its trials: all settings that are not the default."""
    return _name(fields(BaselineSettings), row(baseline))


def trial_name(trial: TrialSettings):
    """Name of a trial in its folder: all its own settings that are not the default."""
    return file_of(row(trial)).name


def file_of(row):
    """pathlib.Path of the files of a trial below the results folder, without suffix.

    Args:
        row: `{column: value}` of its settings, such as a row of the CSV.
    """
    of_baseline = fields(BaselineSettings)
    own = {name: field for name, field in fields(TrialSettings).items() if name not in of_baseline}
    return Path(_name(of_baseline, row)) / _name(own, row)


def grid(given, *, dataset, content):
    """Settings of all trials of a call, seed by seed.

    Args:
        given: dict of the parsed arguments and the backend, by the names of the fields; `seed`,
            `pruning_ratio` and `criterion` are lists; `trained` says that the network is.
        dataset: name of the dataset.
        content: as `BaselineSettings` has it.

    Returns:
        List of TrialSettings.
    """
    how = {field.name: given[field.name] for field in dataclasses.fields(Recipe)}
    if given["trained"]:
        how["epochs"] = 0
    shared = {
        "dataset": dataset,
        "model": Path(given["model"]).name,
        "pixels": given["pixels"],
        "backend": given["backend"],
        "content": content,
    }
    baselines = [
        BaselineSettings(seed=seed, recipe=Recipe(**how), **shared)
        for seed in dict.fromkeys(given["seed"])
    ]
    ratios = dict.fromkeys(given["pruning_ratio"])
    return [
        trial
        for baseline, ratio in itertools.product(baselines, ratios)
        for trial in _trials(given, baseline, ratio)
    ]


def unranked(trial: TrialSettings):
    """The trial with the default ranking, for questions about the shape of the network."""
    return dataclasses.replace(
        trial, criterion=TrialSettings.criterion, strategy=TrialSettings.strategy
    )


def _trials(given, baseline: BaselineSettings, ratio):
    """Trials of one baseline and ratio: one for each criterion, and the control."""
    shared = ("layer_ratios", "coupled", "strategy", "schedule", "epoch2")
    rate = baseline.recipe.learning_rate
    trial = TrialSettings(
        baseline=baseline,
        pruning_ratio=ratio,
        retrain_learning_rate=given["retrain_learning_rate"] or rate,
        **{name: given[name] for name in shared},
    )
    if ratio or any(trial.ratios.values()):
        for criterion in given["criterion"]:
            yield dataclasses.replace(trial, criterion=criterion)
    else:  # nothing is removed, whatever the ranking
        yield unranked(trial)
    if given["control"]:
        yield dataclasses.replace(
            trial,
            control=given["control"],
            criterion="",
            strategy="",
            schedule="",
            retrain_learning_rate=rate,
        )


def _name(fields, row):
    parts = []
    for column, field in fields.items():
        if row[column] not in ("", usual(field, row)):
            how = field.metadata["name"]
            parts.append(how(row[column]) if callable(how) else how.format(row[column]))
    return "_".join(parts)


def _column(field):
    return field.metadata.get("column") or field.name
