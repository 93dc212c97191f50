"""The accuracy on validation images after every epoch."""

import keras

from scnnb.precision import policies


class Validation(keras.callbacks.Callback):
    """Add `validation_accuracy` to the results of every epoch; later callbacks find it there."""

    def __init__(self, prepare, lowered):
        """Take what measures the accuracy.

        Args:
            prepare: function that returns a function that returns the accuracy of the model, 0..1.
                It is called in the first epoch: the model may answer with logits in training.
            lowered: layers that compute in bfloat16; they do so in float32 while it is measured.
        """
        super().__init__()
        self.prepare, self.measure, self.lowered = prepare, None, lowered

    def on_epoch_end(self, epoch, logs=None):
        """Measure the accuracy."""
        with policies(self.lowered, "float32"):
            self.measure = self.measure or self.prepare()
            logs["validation_accuracy"] = self.measure()
