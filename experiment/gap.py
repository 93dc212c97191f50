"""A test accuracy far below the training accuracy: one line with the cause and the remedy."""

import keras

from experiment import samples
from experiment.log import percent
from scnnb import training
from scnnb.leaves import leaves

# The main job ends 6 to 8 points apart and is fine: 0.9868 and 0.9235 on Fashion-MNIST. Statistics
# that lag behind gave 11 and 12: 0.7762 and 0.6556 on CIFAR-10 after 5 epochs.
FAR = 0.10
MARK = "ATTENTION: "  # the start of the line; a node of a cluster sends such lines
IMAGES = 2000  # training images that tell the causes apart


def warn(model, dataset, seed, *, in_training, in_test, remedy):
    """Print a line if the accuracies of a training are far apart.

    The network is asked for training images as it is asked for test images. If it is about as
    accurate as in training, it does not generalise; if not, its BatchNormalization is to blame.

    Args:
        model: the trained Keras model.
        dataset: Dataset.
        seed: chooses the training images.
        in_training: training accuracy of the epoch whose weights the network has.
        in_test: accuracy on the test images.
        remedy: what to change if BatchNormalization is the cause, in words.
    """
    if in_training - in_test <= FAR:
        return
    apart = f"{MARK}training accuracy {percent(in_training)}, test accuracy {percent(in_test)}"
    if lags_behind(model, dataset, seed, in_training, in_test):
        print(
            f"{apart}: the moving statistics of BatchNormalization lag behind the weights "
            f"(few steps, or a high learning rate at the end); {remedy}"
        )
    else:
        print(f"{apart}: this may be overfitting; fewer epochs or more training images may help")


def lags_behind(model, dataset, seed, in_training, in_test):
    """Whether training images, too, are answered worse than in training, by BatchNormalization."""
    if not any(isinstance(each, keras.layers.BatchNormalization) for each in leaves(model)):
        return False
    images, labels = samples.training_images(dataset, seed, IMAGES)
    return training.accuracy(model, images, labels) < (in_training + in_test) / 2
