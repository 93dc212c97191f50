"""What a training does otherwise on each of Keras' backends; only the one in use is imported."""

import importlib

import keras

BACKEND = importlib.import_module(f"scnnb.backends.{keras.backend.backend()}").BACKEND
