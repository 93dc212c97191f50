"""JAX: all is done as Keras does it."""

from scnnb.backends.backend import Backend, devices

BACKEND = Backend(gpus=devices)
