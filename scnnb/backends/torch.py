"""PyTorch: as Keras does it, but for dropout, which draws from a state outside the model."""

import keras
import torch

from scnnb.backends.backend import Backend


class Seeded(keras.callbacks.Callback):
    """What each epoch draws from PyTorch's own state follows from seed and epoch alone."""

    def __init__(self, seed):
        """Take a whole number from 0."""
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        """Take its number."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        """Before the first step, and after the loader of the batches has drawn what it draws."""
        if batch == 0:
            torch.manual_seed(self.seed + self.epoch)


def gpus():
    """List of the GPUs; Keras' own function knows nothing of PyTorch."""
    return [f"gpu:{number}" for number in range(torch.cuda.device_count())]


BACKEND = Backend(gpus=gpus, callbacks=lambda seed: [Seeded(seed)])
