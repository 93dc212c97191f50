"""The BatchNormalization of the networks."""

from keras import layers

# Keras' default is 0.99. Then the moving statistics are a mean over about 100 steps, in which the
# weights change. PyTorch's default, and so that of most published networks, is 0.9 in Keras' way of
# counting (PyTorch counts the new part, 0.1): torch.nn.BatchNorm2d in PyTorch's documentation.
MOMENTUM = 0.9


def batch_norm(name):
    """BatchNormalization whose moving statistics are a mean over about 10 steps."""
    return layers.BatchNormalization(momentum=MOMENTUM, name=name)
