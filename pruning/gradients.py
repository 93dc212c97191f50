"""Gradients on each backend of Keras; only the backend in use is imported."""

import keras


def gradients(function, arrays):
    """The gradients of a function at these arrays.

    Args:
        function: function of a list of the backend's tensors that returns a scalar.
        arrays: list of float32 arrays.

    Returns:
        List of float32 arrays of the same shapes. They are 0 if the function does not depend on an
        array.

    Raises:
        ValueError: the backend has no gradients.
    """
    backend = keras.backend.backend()
    if backend not in _OF_BACKEND:
        raise ValueError(
            f"KERAS_BACKEND: expected {', '.join(_OF_BACKEND)} for gradients, got {backend}"
        )
    tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
    return [keras.ops.convert_to_numpy(each) for each in _OF_BACKEND[backend](function, tensors)]


def _tensorflow(function, tensors):
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        value = function(tensors)
    return tape.gradient(value, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _jax(function, tensors):
    import jax

    def stateless(tensors):
        with keras.StatelessScope():  # a layer may assign to its state
            return function(tensors)

    return jax.grad(stateless)(tensors)


def _torch(function, tensors):
    import torch

    tensors = [tensor.requires_grad_() for tensor in tensors]
    return torch.autograd.grad(
        function(tensors), tensors, allow_unused=True, materialize_grads=True
    )


_OF_BACKEND = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
