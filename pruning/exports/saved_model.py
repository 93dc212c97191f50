"""TensorFlow's SavedModel, a folder.

TensorFlow is imported where it is used: the command line needs the format before.
"""

from pruning.exports import inputs
from pruning.exports.format import Format


def _write(model, path, images, int8_io):
    how = {"verbose": False, "input_signature": inputs.signature(model, None)}
    model.export(path, format="tf_saved_model", **how)


def _load(path, threads):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # holds the variables

    def answer(parts):
        given = [tf.constant(part) for part in parts]
        found = loaded.serve(given if len(given) > 1 else given[0])
        return [output.numpy() for output in (found if isinstance(found, list) else [found])]

    return answer


SAVED_MODEL = Format(
    name="saved-model",
    suffix="_saved_model",
    writer=_write,
    loader=_load,
)
