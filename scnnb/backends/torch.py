"""PyTorch: a training uses Keras' own code, and seeds PyTorch's random numbers for dropout."""

import keras
import torch

from scnnb.backends.backend import Backend


class Seeded(keras.callbacks.Callback):
    """Seed PyTorch's random numbers in every epoch, so that a resumed training is the same."""

    def __init__(self, seed):
        """Take a whole number from 0."""
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        """Keep the number of the epoch."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        """Set the seed before the first step, after the loader of the batches has used numbers."""
        if batch == 0:
            torch.manual_seed(self.seed + self.epoch)


def gpus():
    """List of the GPUs; Keras' own function does not list those of PyTorch."""
    return [f"gpu:{number}" for number in range(torch.cuda.device_count())]


BACKEND = Backend(gpus=gpus, callbacks=lambda seed: [Seeded(seed)])
