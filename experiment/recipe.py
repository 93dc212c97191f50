"""Settings of one training."""

from dataclasses import dataclass

from experiment import checks
from experiment.fields import TRAIN, setting


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
