"""A format of exported files."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from pruning.exports.output import quiet


@dataclass(frozen=True)
class Format:
    """One kind of file, or folder of files, that a device's runtime reads.

    Attributes:
        name: the name for users, such as `litert-int8`.
        suffix: the end of the names of its files.
        writer: function of `(model, path, images, int8_io)` that writes a Functional model to the
            path, a str; images are None or a list of arrays, one for each input; int8_io is as
            `pruning.export` takes it.
        loader: function of `(path, threads)` that returns a function that runs the file: from a
            list of arrays, one for each input, to a list of arrays, one for each output.
        packages: names of the packages that write and run it, as they are imported.
        runtime: the one of the packages that runs it.
        quantised: whether it computes in int8. Then images are needed to find the ranges of the
            activations, inputs and outputs may be int8, and the answers differ from those of Keras.
    """

    name: str
    suffix: str
    writer: Callable
    loader: Callable
    packages: tuple = ()
    runtime: str = ""
    quantised: bool = False

    @property
    def column(self):
        """The beginning of the names of this format's columns in the CSV."""
        return self.name.replace("-", "_")

    def path_of(self, path):
        """The path with this format's suffix."""
        return path.with_name(path.name + self.suffix)  # `with_suffix` would cut `pruned0.5`

    def load(self, path, *, threads):
        """A function of a batch of images that runs the file in its own runtime.

        Args:
            path: path of a file or folder that `pruning.export` wrote.
            threads: number of threads; a SavedModel ignores it and uses TensorFlow's own number.

        Returns:
            Function of float32 array (n, height, width, channels) that returns float32 (n,
            classes). It takes a list of arrays if the file has several inputs, in the order of
            `model.inputs`, and returns a list if it has several outputs, in the order of
            `model.outputs`.

        Raises:
            ImportError: the runtime is not installed.
        """
        with quiet():
            run = self.loader(os.fspath(path), threads)

        def answer(images):
            outputs = run(list(images) if isinstance(images, list | tuple) else [images])
            return outputs[0] if len(outputs) == 1 else outputs

        return answer
