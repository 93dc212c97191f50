"""Settings of one training."""

from dataclasses import dataclass

from experiment import checks
from experiment.fields import TRAIN, Switch, setting

SCHEDULES = ["constant", "cosine", "step"]  # keys of `scnnb.schedules.SCHEDULES`, which needs Keras


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of one training."""

    optimizer: str = setting(
        "--optimizer",
        group=TRAIN,
        default="adam",
        choices=["adam", "sgd"],
        help="Optimizer: adam (default) or sgd. Example: --optimizer sgd",
    )
    learning_rate: float = setting(
        "lr",
        name="lr{}",
        type=checks.learning_rate,
        help="Learning rate, a number above 0; its highest with --lr-schedule or --warmup. "
        "Example: 0.001",
    )
    lr_schedule: str = setting(
        "--lr-schedule",
        group=TRAIN,
        default="constant",
        choices=SCHEDULES,
        help="Learning rate during each training: constant (default); cosine, which falls to 0 "
        "along half a cosine; or step, a tenth after half of the epochs and a hundredth after "
        "three quarters. Example: --lr-schedule cosine",
    )
    warmup: int = setting(
        "--warmup",
        group=TRAIN,
        default=0,
        name="warmup{}",
        type=checks.count_from_0,
        metavar="EPOCHS",
        help="Epochs at the start of each training in which the learning rate rises from 0 "
        "(default 0). Example: --warmup 5",
    )
    weight_decay: float = setting(
        "--weight-decay",
        group=TRAIN,
        default=lambda row: (row.get("optimizer") == "sgd") * 5e-6,  # of one row or of many
        name="decay{}",
        type=checks.from_0,
        metavar="PART",
        help="Weight decay: before each step, every weight loses this part of itself times the "
        "learning rate (default 0, with sgd 5e-6). PyTorch's weight_decay with momentum 0.9 "
        "is about a tenth of it. Example: --weight-decay 0.001",
    )
    momentum: float = setting(
        "--momentum",
        group=TRAIN,
        default=lambda row: (row.get("optimizer") == "sgd") * 0.9,
        name="momentum{}",
        type=checks.ratio,
        metavar="PART",
        help="Momentum of sgd, 0 <= momentum < 1 (default 0.9). Example: --momentum 0.95",
    )
    nesterov: str = setting(
        "--nesterov",
        group=TRAIN,
        default="",
        action=Switch,
        const="nesterov",
        help="The momentum of sgd is that of Nesterov. Example: --nesterov",
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
        type=checks.augmentation,
        metavar="KIND",
        help="Change training images at random in every epoch: flip half of them left to right "
        "(flip), also shift them by up to 4 pixels (crop-flip), or none (default). "
        "Example: --augment crop-flip",
    )
    label_smoothing: float = setting(
        "--label-smoothing",
        group=TRAIN,
        default=0.0,
        name="smoothing{}",
        type=checks.ratio,
        metavar="PART",
        help="Label smoothing: part of each label that every training spreads evenly over all "
        "classes, 0 <= part < 1 (default 0). Example: --label-smoothing 0.1",
    )
    class_weights: str = setting(
        "--class-weights",
        group=TRAIN,
        default="",
        type=checks.class_weights,
        metavar="KIND",
        help="Weight of the loss of each training image: images / (classes * images of its class), "
        "so that rare classes count as much as frequent ones (balanced), or none (default). "
        "Accuracies are not weighted. Example: --class-weights balanced",
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
    best_epoch: str = setting(
        "--best-epoch",
        group=TRAIN,
        default="",
        column="epoch_taken",
        name="{}-epoch",
        action=Switch,
        const="best",
        help="With --validation: after each training, take the weights of the epoch with the "
        "highest accuracy on the validation images, the first of several (default: those of the "
        "last epoch). Example: --validation 0.1 --best-epoch",
    )
    epochs: int = setting(
        "Epoch1",
        column="epoch1",
        name="epochs{}",
        type=checks.count,
        help="Epochs of training before pruning. Example: 35",
    )
