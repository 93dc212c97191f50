"""BatchNormalization and Adam in one TensorFlow kernel each: the same values in less time.

They are used on CPUs only, where the times were measured. On a GPU, Keras' own code is used.
"""

import contextlib

import keras
import tensorflow as tf
from keras import layers

from scnnb.backends.backend import devices
from scnnb.leaves import leaves


@contextlib.contextmanager
def fused(model):
    """Inside the `with`, the model's BatchNormalization is fused; after it, it is Keras' again.

    Only the class of the layers changes; their variables are the same. On a GPU nothing changes.
    Trace graphs inside the `with`.

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
    """BatchNormalization that is computed by one kernel in training, and so are its gradients."""

    def call(self, inputs, training=None, mask=None):
        """The normalised inputs; Keras computes them if the kernel cannot."""
        known = len(inputs.shape) == 4 and self.axis in (-1, 3) and mask is None
        known = known and self.variable_dtype == "float32"
        usual = self.trainable and not getattr(self, "renorm", False)
        if not (training and usual and known):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        # with other numbers of channels, as in pruned networks, the kernel is much slower
        more = -channels % (4 if self.compute_dtype == "float32" else 16)
        inputs = keras.ops.cast(inputs, self.compute_dtype)
        scale = keras.ops.convert_to_tensor(self.gamma) if self.scale else tf.ones(channels)
        offset = keras.ops.convert_to_tensor(self.beta) if self.center else tf.zeros(channels)
        result = tf.raw_ops.FusedBatchNormV3(
            x=_resized(inputs, channels + more),
            scale=tf.pad(scale, [[0, more]]),
            offset=tf.pad(offset, [[0, more]]),
            mean=tf.zeros(0),
            variance=tf.zeros(0),
            epsilon=self.epsilon,
            is_training=True,
        )
        # the kernel's variance is divided by count - 1, that of Keras' moving variance by count
        count = tf.cast(tf.size(inputs) // channels, tf.float32)
        variance = result.batch_variance * ((count - 1) / count)
        for moving, of_batch in (
            (self.moving_mean, result.batch_mean),
            (self.moving_variance, variance),
        ):
            moving.assign(moving * self.momentum + of_batch[:channels] * (1 - self.momentum))
        return _resized(result.y, channels)


def _resized(maps, channels):
    """The feature maps with another number of channels: further ones are 0, or the last ones go.

    A product with an identity matrix gives exactly the same values, and is several times as fast as
    TensorFlow's pad and slice. A value that is not finite makes its whole pixel NaN, and the loss.
    """
    before = maps.shape[-1]
    if channels == before:
        return maps
    identity = tf.eye(before, channels, dtype=maps.dtype)
    flat = tf.matmul(tf.reshape(maps, (-1, before)), identity)
    return tf.reshape(flat, tf.concat([tf.shape(maps)[:-1], [channels]], 0))


class FusedAdam(keras.optimizers.Optimizer):
    """Keras' Adam with its default constants, computed by one kernel per variable.

    Source: Kingma and Ba 2015, Adam, section 2, the version with epsilon hat.
    """

    BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7

    def __init__(self, learning_rate, weight_decay=None):
        """Take a learning rate or Keras' schedule of it, and the weight decay as Keras' Adam."""
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, name="adam")

    def build(self, variables):
        """Create the two moments of every variable."""
        if self.built:
            return
        super().build(variables)
        self.trained = list(variables)
        self.moments = {  # the key is the variable that `update_step` gets
            variable.value.ref(): [
                self.add_variable_from_reference(variable, name=name)
                for name in ("momentum", "velocity")
            ]
            for variable in variables
        }

    def apply(self, grads, trainable_variables=None):
        """Change the variables in place by their gradients, on one device.

        Keras' own method sums the gradients of all devices. TensorFlow keeps the graph of that
        function for ever, and with it the moments of every finished training in memory.
        """
        rate = self.learning_rate
        for gradient, variable in zip(grads, trainable_variables or self.trained, strict=True):
            if gradient is not None:  # None for a layer that the loss does not depend on
                if self.weight_decay:
                    variable.assign_sub(variable * self.weight_decay * rate)
                self.update_step(gradient, variable.value, rate)
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))
        self.iterations.assign_add(1)

    def update_step(self, gradient, variable, learning_rate):
        """Change the variable and its moments in place."""
        momentum, velocity = self.moments[variable.ref()]
        step = tf.cast(self.iterations + 1, tf.float32)
        if variable.dtype.size < 4:
            self._update_in_float32(gradient, variable, learning_rate, step)
            return
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

    def _update_in_float32(self, gradient, variable, learning_rate, step):
        """As `update_step`, for 16 bits, in which the kernel computes 1 - 0.999 as 0."""
        gradient, values = (tf.cast(each, tf.float32) for each in (gradient, variable))
        means = []
        added = ((gradient, self.BETA_1), (tf.square(gradient), self.BETA_2))
        for moment, (new, beta) in zip(self.moments[variable.ref()], added, strict=True):
            means.append(tf.cast(moment.value, tf.float32) * beta + new * (1 - beta))
            moment.assign(tf.cast(means[-1], variable.dtype))
        rate = learning_rate * tf.sqrt(1 - self.BETA_2**step) / (1 - self.BETA_1**step)
        values -= rate * means[0] / (tf.sqrt(means[1]) + self.EPSILON)
        variable.assign(tf.cast(values, variable.dtype))
