"""The networks, their training, and the measurement of their accuracy."""

import functools
import importlib


def _build(module, function, image_shape, num_classes, statistics=None):
    # imported here: the command line reads the names and must not wait seconds for Keras
    return getattr(importlib.import_module(module), function)(image_shape, num_classes, statistics)


NETWORKS = {
    "scnnb": functools.partial(_build, "scnnb.model", "build_scnnb"),
    "scnnb-a": functools.partial(_build, "scnnb.model", "build_scnnb_a"),
    "scnnb-b": functools.partial(_build, "scnnb.model", "build_scnnb_b"),
    "vgg16": functools.partial(_build, "scnnb.zoo.vgg16", "build_vgg16"),
    "alexnet": functools.partial(_build, "scnnb.zoo.alexnet", "build_alexnet"),
    "resnet20": functools.partial(_build, "scnnb.zoo.resnet", "build_resnet20"),
    "resnet56": functools.partial(_build, "scnnb.zoo.resnet", "build_resnet56"),
    "resnet110": functools.partial(_build, "scnnb.zoo.resnet", "build_resnet110"),
}
