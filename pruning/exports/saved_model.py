"""The format SavedModel of TensorFlow, a folder.

TensorFlow is imported in the function that uses it: the command line reads the format and must not
wait seconds for TensorFlow.
"""

from pruning.exports import inputs
from pruning.exports.format import Format


def _write(model, path, images, int8_io):
    signature = inputs.signature(model, None)
    model.export(path, format="tf_saved_model", verbose=False, input_signature=signature)


def _load(path, threads):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # must stay referenced: it owns the variables

    def answer(parts):
        given = [tf.constant(part) for part in parts]
        outputs = loaded.serve(given if len(given) > 1 else given[0])
        return [each.numpy() for each in (outputs if isinstance(outputs, list) else [outputs])]

    return answer


SAVED_MODEL = Format(
    name="saved-model",
    suffix="_saved_model",
    writer=_write,
    loader=_load,
)
