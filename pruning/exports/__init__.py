"""Formats of exported files, by name.

The formats import Keras and runtimes only to write or run a file, because the command line reads
their names before Keras is imported.
"""

from pruning.exports import litert, onnx, saved_model

FORMATS = {  # name: Format
    file_format.name: file_format
    for file_format in (
        litert.LITERT,
        litert.LITERT_INT8,
        onnx.ONNX,
        saved_model.SAVED_MODEL,
    )
}
