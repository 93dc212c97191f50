"""Filter importance from the feature maps of training images."""

import functools
import math

import keras
import numpy as np

from pruning import criteria, groups, surgery
from pruning.moments import Moments
from pruning.rules.flow import as_array

_OF_A_MAP = {  # statistic: function of maps (n, positions, filters) -> float32 (n, filters)
    "mean": lambda maps: keras.ops.mean(maps, axis=1),
    "std": lambda maps: keras.ops.std(maps, axis=1),
    "l1": lambda maps: keras.ops.sum(keras.ops.abs(maps), axis=1),
    "l2": lambda maps: keras.ops.sqrt(keras.ops.sum(keras.ops.square(maps), axis=1)),
}
BATCH_PIXELS = 500 * 28 * 28  # in one batch, for images of any size


def scores(model, images, criterion):
    """Score of each filter, from its feature maps before BatchNormalization and activation.

    The images are computed in batches, so that memory does not grow with their number.

    Args:
        model: built Functional or Sequential Keras model. It is not changed.
        images: training images, float array (n, height, width, channels) or another array that the
            network takes; a list of arrays if it has several inputs.
        criterion: a key of `criteria.OF_FEATURE_MAPS`: `"mean-std"` is the mean over the images of
            the standard deviation of a map, `"var-l2"` the variance over the images of the L2 norm
            of a map.

    Returns:
        `{layer path: float64 array (filters,)}` of all layers with filters.

    Raises:
        ValueError: there are no images, or they do not fit the network.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, figure 9.
    """
    over_images, of_a_map = criteria.OF_FEATURE_MAPS[criterion]
    seen = {}  # layer path: statistics of its maps of this batch
    watching = _watching(model, _OF_A_MAP[of_a_map], seen)
    moments = {}  # layer path: Moments of the statistics
    for of_batch in given(images):
        seen.clear()
        watching(of_batch, training=False)  # otherwise augmentation layers would change the images
        for path, statistics in seen.items():
            values = np.concatenate([as_array(each) for each in statistics]).astype(np.float64)
            here = Moments(len(values), values.mean(axis=0), values.var(axis=0))
            moments[path] = moments[path].merged(here) if path in moments else here
    return {path: getattr(of_layer, over_images) for path, of_layer in moments.items()}


def given(images):
    """Yield the images of each batch, as the network takes them; `images` as for `scores`.

    Raises:
        ValueError: there are no images.
    """
    for batch in batches(first_of(images)):
        yield at(images, batch)


def at(images, batch):
    """A slice of the images: of the array, or of each array of a list or dict."""
    return keras.tree.map_structure(lambda array: array[batch], images)


def first_of(images):
    """The images of the first input; ValueError if there are none."""
    arrays = keras.tree.flatten(images)
    if not arrays or not all(hasattr(array, "shape") and len(array) for array in arrays):
        raise ValueError("images: expected an array of training images, got none")
    return arrays[0]


def batches(images, pixels=None):
    """Slices of images (n, height, width, ...), of about `pixels` or `BATCH_PIXELS` each."""
    size = max(1, (pixels or BATCH_PIXELS) // math.prod(images.shape[1:3]))
    return [slice(start, start + size) for start in range(0, len(images), size)]


def to_watch(structure):
    """Our copy of the network of a groups.Structure; its layers may be changed."""
    copy = surgery.cut(structure, {})
    copy.trainable = False  # otherwise PyTorch keeps all maps of a batch for gradients
    return copy


def _watching(model, statistic, seen):
    """A copy of the network that adds the statistic of its maps to `seen` at every call."""
    copy = to_watch(groups.find(model))

    def report(path, maps):
        flat = keras.ops.reshape(maps, (keras.ops.shape(maps)[0], -1, maps.shape[-1]))
        seen.setdefault(path, []).append(statistic(keras.ops.cast(flat, "float32")))

    for path, member in groups.find(copy).members.items():
        _watch(member.call.layer, functools.partial(report, path))
    return copy


def _watch(layer, report):
    """Change a layer of our copy so that it reports its maps before its activation.

    No other layer is put into the graph, because not every layer accepts every tensor: Keras marks
    the result of `x * 2.0` as sparse, and a layer that does not support sparse tensors rejects it.
    """
    while isinstance(layer, keras.layers.Wrapper):  # such as TimeDistributed
        layer = layer.layer
    if activation := getattr(layer, "activation", None):

        def reporting(maps):
            report(maps)
            return activation(maps)

        layer.activation = reporting
    else:
        call = layer.call

        def reporting(*args, **kwargs):
            maps = call(*args, **kwargs)
            report(maps)
            return maps

        layer.call = reporting
