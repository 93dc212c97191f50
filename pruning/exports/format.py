"""What a format of exported files is."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from pruning.exports.output import quiet


@dataclass(frozen=True)
class Format:
    """One kind of file, or folder of files, that a device's runtime reads.

    Attributes:
        name: as users call it, such as `litert-int8`.
        suffix: what the names of its files end with.
        writer: function of `(model, path, images, int8_io)` that writes a Functional model to the
            path, a str; images are a list of arrays, one of each input, or None, and int8_io is as
            `pruning.export` takes it.
        loader: function of `(path, threads)` that returns the runtime's answers as a function: a
            list of arrays, one of each input, in, a list of arrays, one of each output, out.
        packages: what writes and runs it: names to import.
        runtime: which of the packages runs it.
        quantised: whether it computes in int8. Then images tell the ranges of its activations, it
            may take and give int8, and its answers are not those of Keras.
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
        """What the CSV's columns of this format begin with."""
        return self.name.replace("-", "_")

    def path_of(self, path):
        """The file or folder of a network that is stored under the path, without suffix."""
        return path.with_name(path.name + self.suffix)  # the name may hold a point

    def load(self, path, *, threads):
        """A function of a batch of images that answers as the file does in its own runtime.

        Args:
            path: of a file or folder that `pruning.export` wrote.
            threads: number of threads that compute; a SavedModel takes TensorFlow's own number.

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
            found = run(list(images) if isinstance(images, list | tuple) else [images])
            return found[0] if len(found) == 1 else found

        return answer
