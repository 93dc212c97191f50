"""Ratios of single layers, those of the paper by name.

Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, table 1.
Convolutions are numbered from 1; in a residual network the stem is 1, the first convolutions of
the blocks are even. The last filters go by the section on each network: VGG-16 in 4.1, ResNets 4.2.
"""

import functools
import hashlib
import json


def _first_convolutions(blocks, stage_ratios, skip):
    """`{layer name: ratio}` of the first convolution of each block, by stage."""
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
    """`{layer name or glob: ratio}` of a value of the column `layer_ratios`; not to be changed."""
    return LAYER_RATIOS[text] if text in LAYER_RATIOS else json.loads(text or "{}")


def shortened(text):
    """A value of the column `layer_ratios` in a few characters: its name, or a checksum."""
    return hashlib.sha256(text.encode()).hexdigest()[:8] if text.startswith("{") else text
