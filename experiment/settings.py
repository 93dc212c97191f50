"""Settings of a baseline and of a trial."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import data
import scnnb
from data.dataset import PIXELS
from experiment import checks, layer_ratios
from experiment.fields import TRAIN, Switch, setting
from experiment.recipe import SCHEDULES, Recipe
from pruning import request

STEPS = 4  # of a stepwise schedule, if their number is not given
TEMPERATURE = 4.0  # of --distill, if it is not given
SCORES = ("combine", "criterion")  # with global ranking they change the shape of the network
ORDER = ("strategy", "compensate")  # never change it


@dataclass(frozen=True, kw_only=True)
class BaselineSettings:
    """Settings of a baseline.

    Attributes:
        content: start of a checksum of the names and contents of dataset and network, and of the
            file of `--custom`.
        recipe: of its training; 0 epochs if the network is trained already.
    """

    dataset: str = setting(
        "dataset",
        type=checks.dataset,
        help=f"Images for training and testing: {', '.join(data.DATASETS)}, or the path of an .npz "
        "file (uint8 images x_train, x_test; integer labels y_train, y_test) or of a folder "
        "(images train/<class>/*.png, test/<class>/*.png), or a function of --custom. "
        "Example: fashion",
    )
    model: str = setting(
        "--model",
        type=checks.network,
        metavar="NAME|PATH",
        help=f"Network: {', '.join(scnnb.NETWORKS)} (default scnnb), or the path of a .keras or "
        ".h5 file, which is trained for Epoch1 more epochs, or a function of --custom. "
        "Example: --model vgg16",
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
    normalize: str = setting(
        "--normalize",
        group=TRAIN,
        default="",
        action=Switch,
        const="normalize",
        help="The first layer of a network given by name normalises each channel by mean and "
        "variance of the training images. So exported files take the same pixels as without. "
        "Example: --normalize",
    )
    validation: float = setting(
        "--validation",
        group=TRAIN,
        default=0.0,
        name="validation{}",
        type=checks.ratio,
        metavar="PART",
        help="Part of the training images of each class, rounded up, that is not trained on, "
        "0 <= part < 1 (default 0): after every epoch, the accuracy on these images is written to "
        "the history. "
        "Example: --validation 0.1",
    )
    backend: str = setting(
        default="tensorflow",
        help="Backend of Keras: tensorflow, jax or torch; set by the environment variable "
        "`KERAS_BACKEND`.",
    )
    seed: int = setting(name="seed{}", help="Seed of all random numbers: `--seed` or `--seeds`.")
    content: str = setting(
        default="",  # of older rows not known: they stay beside others
        help="Start of a checksum of the names and contents of dataset and network, and of the "
        "file of --custom; empty in rows of older versions.",
    )


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """Settings of a trial: one baseline, pruned and retrained.

    Attributes:
        pruning_ratio: None if there is a target.
        target: "", or what `prune` takes as its target and the amount: "macs 0.5".
        control: "", or the kind of network that the pruned one is compared with.
    """

    baseline: BaselineSettings
    pruning_ratio: float | None = setting(
        "filterPercentage",
        name=lambda ratio: "pruned" if ratio is None or ratio != ratio else f"pruned{ratio}",
        type=checks.ratio,
        nargs="+",
        help="Fraction of the filters to remove from each convolution, 0 <= fraction < 1, or what "
        "--target says. Several share one baseline. Example: 0.4 removes 40 %%",
    )
    target: str = setting(
        "--target",
        default="",
        name=lambda text: text.replace(" ", ""),
        choices=list(request.TARGETS),
        help="The numbers of filterPercentage are sizes that may remain: a part of the MACs or of "
        "the parameters, above 0, at most 1 (macs, parameters), or the float32 bytes of all "
        "weights (bytes). The smallest fraction that reaches it is found before any training. "
        "Example: 0.5 0.3 --target macs",
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
    ranking: str = setting(
        "--ranking",
        default="uniform",
        choices=list(request.RANKINGS),
        help="Every layer loses the same fraction (uniform, default), or the filters of lowest "
        "score of all layers go first (global): scores are divided by the mean of their layer, and "
        "a fraction is that of all filters. Example: --ranking global",
    )
    keep: float = setting(
        "--keep",
        default=lambda row: (row.get("ranking") == "global") * request.KEEP,
        name="keep{}",
        type=checks.ratio,
        metavar="PART",
        help="With --ranking global: part of its filters that each layer keeps at least, rounded "
        "up (default 0.1). Example: --keep 0.3",
    )
    coupled: str = setting(
        "--coupled",
        default="joint",
        choices=list(request.COUPLED),
        help="Convolutions that must lose the same filters, for example before an addition: ranked "
        "by the sum of their scores (joint, default), by the 1x1 convolution on the shortcut "
        "(shortcut), or not pruned (skip). Example: --coupled skip",
    )
    combine: str = setting(
        "--combine",
        default=request.DEFAULT_COMBINE,
        name="combine-{}",
        choices=list(request.COMBINE),
        help="Score of filters that go together, such as those of coupled convolutions: the sum of "
        "their scores (sum, default), in which layers of large weights decide; or the mean or the "
        "largest after each layer's scores are divided by their mean (mean, max). "
        "Example: --combine mean",
    )
    dense: str = setting(
        "--dense",
        default="",
        name="{}-layers",
        action=Switch,
        const="dense",
        help="Prune hidden Dense layers on vectors, too, such as those after Flatten; the last one "
        "stays. Example: --dense",
    )
    round_to: int = setting(
        "--round-to",
        default=1,
        name="round{}",
        type=checks.count,
        metavar="N",
        help="Every layer keeps a multiple of N filters, rounded up, or all that it has (default "
        "1). Example: --round-to 8",
    )
    criterion: str = setting(
        "--criterion",
        default="l1",
        type=checks.criterion,
        nargs="+",
        action="extend",
        metavar="NAME",
        help="Importance of a filter; the least important are removed. From its weights: l1 "
        "(default), l2, fpgm (sum of the distances to the other filters), random, or largest, "
        "which removes the largest L1 norms. bn-scale: the scale of BatchNormalization after it. "
        "taylor: the change of the loss of 2,000 random training images. From its feature maps of "
        "the training images: mean-mean, mean-std, mean-l1, mean-l2 or var-l2. Or a function of "
        "--custom. Each criterion is a trial of its own. "
        "Example: --criterion l1 random",
    )
    strategy: str = setting(
        "--strategy",
        default="independent",
        choices=["independent", "greedy"],
        help="Rank filters by all weights of the kernel (independent, default), or without the "
        "weights that read removed feature maps (greedy). Example: --strategy greedy",
    )
    compensate: str = setting(
        "--compensate",
        default="",
        action=Switch,
        const="compensate",
        help="At each cut, add to the bias of the layers that read removed feature maps what these "
        "contributed on average over 2,000 random training images; compare with a call without it. "
        "Example: --compensate",
    )
    schedule: str = setting(
        "--schedule",
        default="one-shot",
        choices=["one-shot", "iterative", "stepwise"],
        help="Prune all layers at once, then retrain (one-shot, default); or prune one layer after "
        "the other and retrain Epoch2 epochs after each (iterative); or prune all layers in "
        "several equal steps, and retrain after each (stepwise). Example: --schedule stepwise",
    )
    steps: int = setting(
        "--steps",
        default=lambda row: (row.get("schedule") == "stepwise") * STEPS,
        name="steps{}",
        type=checks.steps,
        metavar="N",
        help="With --schedule stepwise: number of steps (default 4). After step k of N, k / N of "
        "the filters to remove are gone, rounded up. Epoch2 is divided among the steps; if it "
        "cannot be divided evenly, the last ones have an epoch more. Example: --steps 5",
    )
    control: str = setting(
        "--control",
        default="",
        choices=["scratch"],
        help="For comparison, also train each pruned shape from new weights for Epoch1 + Epoch2 "
        "epochs. Example: --control scratch",
    )
    epoch2: int = setting(
        "Epoch2",
        name="retrained{}",
        type=checks.count_from_0,
        help="Epochs of retraining after pruning, 0 to prune and measure only. Example: 30",
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
    retrain_schedule: str = setting(
        "--retrain-schedule",
        group=TRAIN,
        default=lambda row: row.get("lr_schedule"),
        choices=SCHEDULES,
        help="Learning rate during the retraining, as --lr-schedule has it (default: the same). "
        "Example: --retrain-schedule constant",
    )
    distill: float = setting(
        "--distill",
        group=TRAIN,
        default=0.0,
        name="distill{}",
        type=checks.weight,
        metavar="WEIGHT",
        help="Retrain against the probabilities of the baseline, too: this part of the loss "
        "compares with them, the rest with the labels, 0 <= weight <= 1 (default 0). 0.9 is "
        "usual: Hinton et al. 2015 found a small weight of the labels best. Example: --distill 0.9",
    )
    distill_temperature: float = setting(
        "--distill-temperature",
        group=TRAIN,
        default=lambda row: (row.get("distill", 0) > 0) * TEMPERATURE,
        name="temperature{}",
        type=checks.from_0,
        metavar="T",
        help="With --distill: both networks' logits are divided by it before they are compared, a "
        "number above 0 (default 4, a usual one); the higher, the more the improbable classes "
        "count. Example: --distill-temperature 2",
    )

    @property
    def ratios(self):
        """`{layer name or glob: ratio}`, the ratios of single layers."""
        return layer_ratios.parsed(self.layer_ratios)

    @property
    def amount(self):
        """What `pruning.prune` takes as size: `("ratio", 0.4)`, or a target `("macs", 0.5)`."""
        return amount(vars(self))

    @property
    def options(self) -> request.Options:
        """What `pruning.prune` and others of the library take to say how many filters go."""
        return options(vars(self))

    def retraining(self, stage=0):
        """The Recipe of the retraining after a stage of the schedule, counted from 0.

        In each stage of an iterative schedule it has `epoch2` epochs, in all steps of a stepwise
        schedule together.
        """
        return dataclasses.replace(
            self.baseline.recipe,
            epochs=(self.epoch2 + stage) // self.steps if self.steps else self.epoch2,
            learning_rate=self.retrain_learning_rate,
            lr_schedule=self.retrain_schedule,
        )

    @property
    def from_scratch(self):
        """The Recipe of a control that is trained from new weights."""
        epochs = self.baseline.recipe.epochs + self.epoch2
        return dataclasses.replace(self.baseline.recipe, epochs=epochs)


def amount(row) -> tuple[str, Any]:
    """The same of `{column: value}`, such as a row of the CSV."""
    if not row.get("target"):
        return "ratio", row["pruning_ratio"]
    what, number = row["target"].split()
    return what, int(number) if what == "bytes" else float(number)


def options(given) -> request.Options:
    """The same of `{field: value}`, such as the parsed arguments."""
    return {
        "layer_ratios": layer_ratios.parsed(given["layer_ratios"]),
        "ranking": given["ranking"],
        "keep": given["keep"],
        "coupled": given["coupled"],
        "combine": given["combine"],
        "dense": bool(given["dense"]),
        "round_to": given["round_to"],
    }


def unranked(trial: TrialSettings):
    """The trial with the defaults of what has no effect on the shape of the pruned network."""
    return _usual(trial, ORDER if trial.ranking == "global" else (*SCORES, *ORDER))


def unpruned(trial: TrialSettings):
    """The trial with the defaults of what has no effect if no filter is removed."""
    return _usual(trial, (*SCORES, *ORDER, "ranking", "dense", "round_to"), keep=0.0)


def _usual(trial, names, **others):
    usual = {name: getattr(TrialSettings, name) for name in names}
    return dataclasses.replace(trial, **usual, **others)
