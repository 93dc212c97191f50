"""Statistics of BatchNormalization layers, estimated again from images."""

import math
import numbers
from typing import Any

import keras
import numpy as np

from pruning import feature_maps, graph, groups, surgery
from pruning.moments import Moments
from pruning.rules.flow import as_array

BATCH_SIZE = 128  # images


def recalibrate(model: keras.Model, images: Any, *, batch_size: int = BATCH_SIZE) -> keras.Model:
    """A copy of the network whose BatchNormalization layers have new statistics.

    The statistics of a trained network are moving averages. They lag behind the weights, and after
    pruning they belong to the full network. Here they are the exact mean and variance of all values
    that enter the layer, over all images and positions. The images are computed once, in batches.
    As in training, each BatchNormalization normalises by the statistics of the batch. All other
    layers, such as dropout and random augmentation, compute as in inference.

        smaller = recalibrate(prune(model, 0.4), images[:10_000])

    All BatchNormalization layers get new statistics: those of nested models, those inside other
    layers, and frozen ones, too. A layer that is called several times gets the statistics of all
    its calls. Masked positions do not count. A network without such layers is only copied.

    Args:
        model: as `prune` takes it. It is not changed.
        images: training images, as the network takes them: float array (n, height, width,
            channels), or a list or dict of arrays if it has several inputs. An array may be any
            object with a length whose slices are arrays.
        batch_size: number of images in a batch, from 1. The batches have equal sizes, or differ by
            one image, so none is larger. A good choice is the batch size of the training: the
            layers after the first BatchNormalization depend on it.

    Returns:
        Functional Keras model with the same layers, layer names and weights, not compiled.

    Raises:
        ValueError: there are no images, or they do not fit the network; a statistic is not finite;
            `batch_size` is out of range; or a layer cannot be copied.
        TypeError: the model is a subclassed model, whose layers cannot be listed.

    Source: Yu and Huang 2019, Universally Slimmable Networks (arXiv 1903.05134), post-statistics of
    batch normalization; Li et al. 2020, EagleEye (arXiv 2007.02491), adaptive batch normalization.
    """
    if not isinstance(batch_size, numbers.Integral) or batch_size < 1:
        raise ValueError(f"batch_size: expected a whole number from 1, got {batch_size!r}")
    batches = _batches(model, images, batch_size)
    structure = groups.find(model)
    new, watching = surgery.cut(structure, {}), feature_maps.to_watch(structure)
    watched = normalisations(watching)
    moments = {}  # number of the layer: Moments
    for number, layer in enumerate(watched):
        _watch(layer, number, moments)
    if watched:
        for batch in batches:
            watching(feature_maps.at(images, batch), training=False)
    for number, layer in enumerate(normalisations(new)):
        if number in moments:  # a layer of the user may call it in training only
            _assign(layer, moments[number])
    return new


def normalisations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The BatchNormalization layers of a network, each once, also those inside other layers.

    Args:
        model: Keras model.
    """
    seen, waiting = {}, [*graph.layers(model)]
    while waiting:
        layer = waiting.pop()
        if id(layer) not in seen:
            seen[id(layer)] = layer
            parts = keras.tree.flatten(list(vars(layer).values()))
            waiting += [part for part in parts if isinstance(part, keras.Layer)]
    kind = keras.layers.BatchNormalization
    return [layer for layer in seen.values() if isinstance(layer, kind)]


def _batches(model, images, batch_size):
    """Slices of equal sizes, or sizes that differ by one."""
    arrays = keras.tree.flatten(images)
    lengths = [len(array) if hasattr(array, "__len__") else 0 for array in arrays]
    inputs = len(graph.functional(model).inputs)
    if len(lengths) != inputs or len(set(lengths)) != 1 or not lengths[0]:
        got = ", ".join(str(getattr(array, "shape", array)) for array in arrays)
        raise ValueError(
            f"images: expected an array for each of {inputs} inputs, all with the same number of "
            f"images, at least one, got {got or 'none'}"
        )
    count = lengths[0]
    number = math.ceil(count / batch_size)
    edges = [count * index // number for index in range(number + 1)]
    return [slice(*edge) for edge in zip(edges, edges[1:], strict=False)]


def _watch(layer, number, moments):
    """Change a layer of our copy: it computes as in training, and adds to `moments`."""
    layer.trainable = True  # a frozen layer never computes as in training
    for weight in layer.trainable_weights:
        weight.trainable = False  # see `feature_maps.to_watch`
    layer.renorm = False  # otherwise it normalises by its old moving statistics
    call = layer.call

    def watched(inputs, training=None, mask=None):
        here = _moments(inputs, layer.axis, mask)
        moments[number] = moments[number].merged(here) if number in moments else here
        return call(inputs, training=True, **({} if mask is None else {"mask": mask}))

    layer.call = watched


def _moments(inputs, axis, mask):
    """Moments of a tensor; of the mask, True at the positions that count, or None."""
    shape = tuple(inputs.shape)
    axes = tuple(np.delete(np.arange(len(shape)), axis).tolist())
    values = keras.ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
    if mask is None:
        both = keras.ops.mean(values, axes), keras.ops.var(values, axes)
        mean, variance = (as_array(each).astype(np.float64) for each in both)
        return Moments(math.prod(shape) // shape[axis], mean, variance)
    hidden = np.broadcast_to(~as_array(mask).astype(bool)[..., np.newaxis], shape)
    counted = np.ma.array(as_array(values).astype(np.float64), mask=hidden)
    return Moments(counted.count(axes), counted.mean(axes).filled(0), counted.var(axes).filled(0))


def _assign(layer, moments):
    mean, variance = moments.mean, moments.variance
    deviation = np.sqrt(variance + layer.epsilon)
    statistics = {
        "moving_mean": mean,
        "moving_variance": variance,
        "moving_stddev": deviation,  # this and the next two: of batch renormalization
        "renorm_mean": mean,
        "renorm_stddev": deviation,
    }
    for name, values in statistics.items():
        if hasattr(layer, name):
            weight = getattr(layer, name)
            weight.assign(values)
            if not np.isfinite(as_array(weight).astype(float)).all():
                raise ValueError(
                    f"{layer.name} ({type(layer).__name__}): expected finite values, got others in "
                    "its new statistics; look for values in the images and weights that are not "
                    "finite or too large"
                )
