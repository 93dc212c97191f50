"""The learning rate of each step of a training."""

import keras
from keras.optimizers import schedules

STEPS = {1 / 2: 0.1, 3 / 4: 0.01}  # part of the training: factor of the learning rate from there


def learning_rate(schedule, highest, *, steps, warmup_steps=0):
    """The learning rate of a training, as Keras' optimizers take it.

    Args:
        schedule: `constant`; `cosine`, half a cosine down to 0; or `step`, a tenth of the learning
            rate after half of the training and a hundredth after three quarters.
        highest: learning rate after the warm-up, above 0.
        steps: number of steps of the training, those of the warm-up included.
        warmup_steps: number of steps at the start, in which the learning rate rises linearly to
            `highest`; less than `steps`.

    Returns:
        A number, or a `keras.optimizers.schedules.LearningRateSchedule`.

    Source: Loshchilov and Hutter 2017, SGDR, section 3 (cosine, without restarts); He et al. 2016,
    Deep Residual Learning for Image Recognition, section 4.2 (step).
    """
    after = SCHEDULES[schedule](highest, steps, warmup_steps)
    return Warmup(after, highest, warmup_steps) if warmup_steps else after


def _step(highest, steps, warmup_steps):
    # Keras' boundary is the last step, counted from 0, that has the rate before it
    boundaries = [int(part * steps) - 1 - warmup_steps for part in STEPS]
    values = [highest, *(factor * highest for factor in STEPS.values())]
    return schedules.PiecewiseConstantDecay(boundaries, values)


SCHEDULES = {
    "constant": lambda highest, steps, warmup_steps: highest,
    "cosine": lambda highest, steps, warmup_steps: schedules.CosineDecay(
        highest, steps - warmup_steps
    ),
    "step": _step,
}


class Warmup(schedules.LearningRateSchedule):
    """A linear rise of the learning rate, then a constant or another schedule.

    Source: Goyal et al. 2017, Accurate, Large Minibatch SGD, section 2.2.
    """

    def __init__(self, after, highest, steps):
        """Take the schedule or number after the rise, its highest value, and the steps of it."""
        self.after, self.highest, self.steps = after, highest, steps

    def __call__(self, step):
        """The learning rate of a step, counted from 0; the last step of the rise has `highest`."""
        step = keras.ops.cast(step, "float32")
        rising = self.highest * (step + 1) / self.steps
        after = self.after
        if callable(after):
            after = after(keras.ops.maximum(step - self.steps, 0.0))
        return keras.ops.where(step < self.steps, rising, after)

    def get_config(self):
        """The arguments of the class."""
        return {"after": self.after, "highest": self.highest, "steps": self.steps}
