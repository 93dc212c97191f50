"""The layer ratios of Li et al. 2017 by name, and the column `layer_ratios`.

Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, table 1, and the sections on each
network: 4.1 on VGG-16, 4.2 on ResNets. Convolutions are numbered from 1. In a residual network the
stem is 1, and the first convolution of each block has an even number.
"""

import functools
import hashlib
import json


def _first_convolutions(blocks, stage_ratios, skip):
    """`{layer name: ratio}` of the first convolution of each block, with a ratio per stage."""
    return {
        f"conv{2 * (stage * blocks + block) + 2}": ratio
        for stage, ratio in enumerate(stage_ratios)
        for block in range(blocks)
        if 2 * (stage * blocks + block) + 2 not in skip
    }


LAYER_RATIOS = {
    "vgg16-A": {f"conv{number}": 0.5 for number in (1, 8, 9, 10, 11, 12, 13)},
    "resnet56-A": _first_convolutions(9, (0.1, 0.1, 0.1), skip=(16, 20, 38, 54)),
    "resnet56-B": _first_convolutions(9, (0.6, 0.3, 0.1), skip=(16, 18, 20, 34, 38, 54)),
    "resnet110-A": _first_convolutions(18, (0.5, 0.0, 0.0), skip=(36,)),
    "resnet110-B": _first_convolutions(18, (0.5, 0.4, 0.3), skip=(36, 38, 74)),
}


@functools.cache
def parsed(text):
    """`{layer name or glob: ratio}` of a value of the column `layer_ratios`. Do not change it."""
    return LAYER_RATIOS[text] if text in LAYER_RATIOS else json.loads(text or "{}")


def shortened(text):
    """A short text for a value of the column `layer_ratios`: its name, or a checksum."""
    return hashlib.sha256(text.encode()).hexdigest()[:8] if text.startswith("{") else text
