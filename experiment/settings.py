"""What shapes a training or a trial. Each setting is declared once, as a field of a dataclass.

From a field follow its flag with type and help, its CSV column and what an older row that lacks it
meant, its place in the key that tells two rows apart, and its part in the names of folders and
files. A value that is the default stays out of names.
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


def setting(flag="", *, default=dataclasses.MISSING, column="", name="{}", **parsed):
    """A field that shapes a result.

    Args:
        flag: name of its position on the command line, or `--flag`; "" if it has none.
        default: value if the flag is not given, and of an older row that lacks the column; or a
            function of the row. Without one, the flag must be given and every row has the column.
        column: of the CSV, if it is not the field's name.
        name: how a value that is not the default stands in names; or a function of it.
        parsed: `help`, and if it has a flag, more keyword arguments of `add_argument`. With
            `nargs="+"` each value makes trials.
    """
    metadata = {"flag": flag, "default": default, "column": column, "name": name, "parsed": parsed}
    fixed = dataclasses.MISSING if callable(default) else default
    return dataclasses.field(default=fixed, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one training computes."""

    optimizer: str = setting(
        "--optimizer",
        default="adam",
        choices=["adam", "sgd"],
        help="How weights are updated: adam (default), or sgd with momentum 0.9 and weight decay "
        "5e-6 as in the paper of SCNNB. Example: --optimizer sgd",
    )
    learning_rate: float = setting(
        "lr",
        name="lr{}",
        type=checks.learning_rate,
        help="Learning rate per step, above 0. Example: 0.001",
    )
    batch_size: int = setting(
        "batchSz",
        name="batch{}",
        type=checks.count,
        help="Size of a training step in images. Example: 128",
    )
    augment: str = setting(
        "--augment",
        default="",
        action="store_const",
        const="crop-flip",
        help="Training images are shifted by up to 4 pixels and flipped left to right, at random "
        "and anew in every epoch. Example: --augment",
    )
    precision: str = setting(
        "--precision",
        default="float32",
        choices=["float32", "bfloat16"],
        help="What trainings compute in: float32 (default), or bfloat16, about twice as fast on "
        "processors that have it, and refused on others; weights and accuracies are float32 in any "
        "case. Example: --precision bfloat16",
    )
    epochs: int = setting(
        "Epoch1",
        column="epoch1",
        name="epochs{}",
        type=checks.count,
        help="Training of the baseline in epochs. Example: 35",
    )


@dataclass(frozen=True, kw_only=True)
class BaselineSettings:
    """What shapes a baseline.

    Attributes:
        content: the start of a checksum of what dataset and network are called and hold.
        recipe: of its training; with no epochs the network is trained already.
    """

    dataset: str = setting(
        "dataset",
        type=checks.dataset,
        help=f"Images to train and test on: {', '.join(data.DATASETS)}, or the path of an .npz "
        "file with uint8 images x_train, x_test and integer labels y_train, y_test, or of a "
        "folder with images train/<class>/*.png, test/<class>/*.png. Example: fashion",
    )
    model: str = setting(
        "--model",
        type=checks.network,
        metavar="NAME|PATH",
        help=f"Network: {', '.join(scnnb.NETWORKS)} (default scnnb), or the path of a .keras or "
        ".h5 file that is trained further. Example: --model vgg16",
    )
    recipe: Recipe
    pixels: str = setting(
        "--pixels",
        default="0..1",
        type=str.strip,  # the blank in front of -1..1
        choices=list(PIXELS),
        help="Range of the pixel values that the network takes: 0..1 (default), 0..255 or -1..1. A "
        "network that begins with Rescaling(1/255), as many of keras.applications do, takes 0..255."
        " Example: --pixels 0..255",
    )
    backend: str = setting(
        default="tensorflow",
        help="What Keras computes with: tensorflow, jax or torch; set by the environment variable "
        "`KERAS_BACKEND`.",
    )
    seed: int = setting(
        name="seed{}", help="Number that fixes all that is random: `--seed` or `--seeds`."
    )
    content: str = setting(
        default="",  # of older rows not known: they stay beside others
        help="Start of a checksum of dataset and network, their names and contents; empty in rows "
        "of older versions.",
    )


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """What shapes a trial: one baseline, pruned and retrained.

    Attributes:
        control: "", or how the network is made that the pruned one is compared with.
    """

    baseline: BaselineSettings
    pruning_ratio: float = setting(
        "filterPercentage",
        name="pruned{}",
        type=checks.ratio,
        nargs="+",
        help="Part of each convolution's filters to remove, 0 <= part < 1; several share one "
        "baseline. Example: 0.4 for 40 %%",
    )
    layer_ratios: str = setting(
        "--layer-ratios",
        default="",
        name=layer_ratios.shortened,
        type=checks.layer_ratios,
        metavar="NAME|FILE",
        help="Ratios of single layers; filterPercentage holds for the rest: the paper's vgg16-A, "
        "resnet56-A, resnet56-B, resnet110-A or resnet110-B, or a .json file "
        '{"layer name or glob": ratio}. Example: --layer-ratios vgg16-A',
    )
    coupled: str = setting(
        "--coupled",
        default="joint",
        choices=["joint", "shortcut", "skip"],
        help="Convolutions that must lose the same filters, as at an addition: ranked by the sum "
        "of their scores (joint, default), by the 1x1 projection on the shortcut (shortcut), or "
        "not pruned (skip). Example: --coupled skip",
    )
    criterion: str = setting(
        "--criterion",
        default="l1",
        choices=[*criteria.OF_KERNELS, *criteria.OF_FEATURE_MAPS],
        nargs="+",
        action="extend",
        metavar="NAME",
        help="What a filter is worth; the lowest go. By its weights: l1 (default), l2, largest "
        "(the largest L1 norm goes first) or random; by its feature maps of the training images: "
        "mean-mean, mean-std, mean-l1, mean-l2 or var-l2. Several give a row each. "
        "Example: --criterion l1 random",
    )
    strategy: str = setting(
        "--strategy",
        default="independent",
        choices=["independent", "greedy"],
        help="Kernels are judged whole (independent, default), or without what reads removed maps "
        "(greedy). Example: --strategy greedy",
    )
    schedule: str = setting(
        "--schedule",
        default="one-shot",
        choices=["one-shot", "iterative"],
        help="All layers are pruned at once, then retrained (one-shot, default), or one after the "
        "other with Epoch2 epochs for each (iterative). Example: --schedule iterative",
    )
    control: str = setting(
        "--control",
        default="",
        choices=["scratch"],
        help="For every percentage, also train the pruned shape from new weights with "
        "Epoch1 + Epoch2 epochs. Example: --control scratch",
    )
    epoch2: int = setting(
        "Epoch2",
        name="retrained{}",
        type=checks.count,
        help="Retraining after pruning in epochs. Example: 30",
    )
    retrain_learning_rate: float = setting(
        "--retrain-lr",
        default=lambda row: row.get("learning_rate"),
        name="lr{}",
        type=checks.learning_rate,
        metavar="LR",
        help="Learning rate of the retraining (default lr). Example: --retrain-lr 0.0001",
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
    """The value of a field that is not given, and of an older row that lacks its column."""
    default = field.metadata["default"]
    return default(row) if callable(default) else default


def folder_name(baseline: BaselineSettings):
    """The name of the folder of all trials of a baseline: all that shapes it, if not the usual."""
    return _name(fields(BaselineSettings), row(baseline))


def trial_name(trial: TrialSettings):
    """The name of a trial in its folder: all that shapes it beside its baseline, if not usual."""
    return file_of(row(trial)).name


def file_of(row):
    """Where the files of a trial are below the results, without suffix: a pathlib.Path.

    Args:
        row: `{column: value}` of its settings, such as a row of the CSV.
    """
    of_baseline = fields(BaselineSettings)
    own = {name: field for name, field in fields(TrialSettings).items() if name not in of_baseline}
    return Path(_name(of_baseline, row)) / _name(own, row)


def grid(given, *, dataset, content):
    """The settings of every trial of a call, seed by seed.

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
    """The trial with the usual ranking, if only the shape of the network matters."""
    return dataclasses.replace(
        trial, criterion=TrialSettings.criterion, strategy=TrialSettings.strategy
    )


def _trials(given, baseline: BaselineSettings, ratio):
    """Of one baseline and ratio: a trial of each criterion, and the control."""
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
