"""JAX: a training uses Keras' own code only."""

from scnnb.backends.backend import Backend, devices

BACKEND = Backend(gpus=devices)
