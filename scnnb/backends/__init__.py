"""The parts of a training that depend on Keras' backend; only the backend in use is imported."""

import importlib

import keras

BACKEND = importlib.import_module(f"scnnb.backends.{keras.backend.backend()}").BACKEND
