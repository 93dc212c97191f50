"""In one kernel what Keras computes in many: the same values, sooner.

On processors only, where it was measured; on a GPU Keras' own path with its compiler stays.
"""

import contextlib

import keras
import tensorflow as tf
from keras import layers

from scnnb.backends.backend import devices
from scnnb.leaves import leaves


@contextlib.contextmanager
def fused(model):
    """The model's BatchNormalization is fused inside the `with`; behind it, it is Keras' again.

    Only its class changes, its variables stay the ones they are. On a GPU nothing happens. Graphs
    are to be traced inside.

    Args:
        model: built Keras model.
    """
    normalizations = [
        layer
        for layer in leaves(model)
        if type(layer) is layers.BatchNormalization and not devices()
    ]
    try:
        for layer in normalizations:
            layer.__class__ = FusedBatchNormalization
        yield
    finally:
        for layer in normalizations:
            layer.__class__ = layers.BatchNormalization


class FusedBatchNormalization(layers.BatchNormalization):
    """BatchNormalization whose statistics, values and gradients in training are one kernel each."""

    def call(self, inputs, training=None, mask=None):
        """As Keras', which does what the kernel does not know or does slowly."""
        known = len(inputs.shape) == 4 and self.axis in (-1, 3) and mask is None
        known = known and self.variable_dtype == "float32"
        channels = inputs.shape[-1]
        # other numbers of channels, as pruned networks have, take it 2 to 4 times as long
        quick = known and channels % (4 if self.compute_dtype == "float32" else 16) == 0
        usual = self.trainable and not getattr(self, "renorm", False)
        if not (training and usual and quick):
            return super().call(inputs, training=training, mask=mask)
        inputs = keras.ops.cast(inputs, self.compute_dtype)
        result = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=keras.ops.convert_to_tensor(self.gamma) if self.scale else tf.ones(channels),
            offset=keras.ops.convert_to_tensor(self.beta) if self.center else tf.zeros(channels),
            mean=tf.zeros(0),
            variance=tf.zeros(0),
            epsilon=self.epsilon,
            is_training=True,
        )
        # the kernel divides by count - 1, Keras' moving variance takes what is divided by count
        count = tf.cast(tf.size(inputs) // channels, tf.float32)
        variance = result.batch_variance * ((count - 1) / count)
        for moving, of_batch in (
            (self.moving_mean, result.batch_mean),
            (self.moving_variance, variance),
        ):
            moving.assign(moving * self.momentum + of_batch * (1 - self.momentum))
        return result.y


class FusedAdam(keras.optimizers.Optimizer):
    """Keras' Adam with its default constants, one kernel per variable.

    Source: Kingma and Ba 2015, Adam, section 2, the form with epsilon hat.
    """

    BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7

    def __init__(self, learning_rate):
        """Take the constant step size, above 0."""
        super().__init__(learning_rate=learning_rate, name="adam")

    def build(self, variables):
        """Make the two moments of every variable."""
        if self.built:
            return
        super().build(variables)
        self.trained = list(variables)
        self.moments = {  # by the variable that update_step is given
            variable.value.ref(): [
                self.add_variable_from_reference(variable, name=name)
                for name in ("momentum", "velocity")
            ]
            for variable in variables
        }

    def apply(self, grads, trainable_variables=None):
        """Change the variables in place by their gradients, on this one device.

        Keras' own would sum the gradients of all devices, by a function that TensorFlow registers
        for good: with its graph, the moments of every finished training would stay in memory.
        """
        for gradient, variable in zip(grads, trainable_variables or self.trained, strict=True):
            if gradient is not None:  # of a layer that the loss does not depend on
                self.update_step(gradient, variable.value, self.learning_rate)
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))
        self.iterations.assign_add(1)

    def update_step(self, gradient, variable, learning_rate):
        """Change the variable and its moments in place."""
        momentum, velocity = self.moments[variable.ref()]
        step = tf.cast(self.iterations + 1, tf.float32)
        numbers = {
            "beta1_power": self.BETA_1**step,
            "beta2_power": self.BETA_2**step,
            "lr": learning_rate,
            "beta1": self.BETA_1,
            "beta2": self.BETA_2,
            "epsilon": self.EPSILON,
            "grad": gradient,
        }
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.value.handle,
            v=velocity.value.handle,
            **{name: tf.cast(number, variable.dtype) for name, number in numbers.items()},
        )
