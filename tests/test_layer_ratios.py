"""experiment/layer_ratios.py and the networks reproduce table 1 of Li et al. 2017."""

import functools

import pytest

import scnnb
from experiment import layer_ratios
from pruning import cost, prune

TABLE = {  # FLOP before, after, % pruned; parameters before, after, % pruned; as printed
    "vgg16-A": ("3.13e8", "2.06e8", 34.2, "1.5e7", "5.4e6", 64.0),
    "resnet56-A": ("1.25e8", "1.12e8", 10.4, "8.5e5", "7.7e5", 9.4),
    "resnet56-B": ("1.25e8", "9.09e7", 27.6, "8.5e5", "7.3e5", 13.7),
    "resnet110-A": ("2.53e8", "2.13e8", 15.9, "1.72e6", "1.68e6", 2.3),
    "resnet110-B": ("2.53e8", "1.55e8", 38.6, "1.72e6", "1.16e6", 32.4),
}
TRUNCATED = (13.7, 38.6, 32.4)  # the paper cut off 13.77, 38.66 and 32.45 instead of rounding them


@functools.cache
def built(name):
    return scnnb.NETWORKS[name]((32, 32, 3), 10)


@functools.cache
def pair(name):
    """The network of these layer ratios, and the pruned one."""
    model = built(name.split("-")[0])
    return model, prune(model, 0, layer_ratios=layer_ratios.LAYER_RATIOS[name])


def weights(model):
    """The parameters as the paper counts them: kernels of convolutions and Dense layers."""
    return sum(layer.kernel.numpy().size for layer in model.layers if hasattr(layer, "kernel"))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name.startswith("resnet110") else [])
        for name in TABLE
    ],
)
def test_every_line_of_the_table_is_reproduced(name):
    model, pruned = pair(name)
    for count, (before, after, percent) in (
        (cost.macs, TABLE[name][:3]),
        (weights, TABLE[name][3:]),
    ):
        assert _digits(count(model), before) == before
        assert _digits(count(pruned), after) == after
        removed = 100 * (1 - count(pruned) / count(model))
        assert (int(removed * 10) / 10 if percent in TRUNCATED else round(removed, 1)) == percent


def test_the_numbers_of_vgg16_are_exact():
    model, pruned = pair("vgg16-A")
    assert (cost.macs(model), cost.macs(pruned)) == (313_463_808, 206_279_680)
    assert (weights(model), weights(pruned)) == (14_977_728, 5_390_176)


@pytest.mark.parametrize(
    ("name", "removed", "skip"),
    [  # filters removed from the first convolutions of each stage, rounded up by hand
        ("resnet56-A", (2, 4, 7), {16, 20, 38, 54}),
        ("resnet56-B", (10, 10, 7), {16, 18, 20, 34, 38, 54}),
        pytest.param("resnet110-A", (8, 0, 0), {36}, marks=pytest.mark.slow),
        pytest.param("resnet110-B", (8, 13, 20), {36, 38, 74}, marks=pytest.mark.slow),
    ],
)
def test_macs_of_pruned_residual_networks_are_the_sum_over_their_blocks(name, removed, skip):
    blocks = {"resnet56": 9, "resnet110": 18}[name.split("-")[0]]
    macs, number, entering = 32 * 32 * 9 * 3 * 16 + 64 * 10, 2, 16
    for stage, (filters, pixels) in enumerate([(16, 32 * 32), (32, 16 * 16), (64, 8 * 8)]):
        for _ in range(blocks):
            middle = filters - (0 if number in skip else removed[stage])
            macs += pixels * 9 * (entering * middle + middle * filters)
            number, entering = number + 2, filters
    model, pruned = pair(name)
    assert cost.macs(pruned) == macs
    numbers = {f"conv{n}" for n in range(2, number, 2)}
    assert {n for n in numbers if pruned.get_layer(n).filters < model.get_layer(n).filters} <= {
        f"conv{n}" for n in range(2, number, 2) if n not in skip
    }


def _digits(value, printed):
    """The value in scientific notation with the number of digits of the printed one."""
    digits, _ = printed.split("e")
    text = f"{value:.{len(digits) - 2}e}"
    return text.replace("e+0", "e")
