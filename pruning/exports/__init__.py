"""Files that devices run: the formats by name.

Nothing here needs Keras or a runtime before a file is written or run: the command line takes the
formats from here.
"""

from pruning.exports import litert, onnx, saved_model

FORMATS = {  # by name
    file_format.name: file_format
    for file_format in (
        litert.LITERT,
        litert.LITERT_INT8,
        onnx.ONNX,
        saved_model.SAVED_MODEL,
    )
}
