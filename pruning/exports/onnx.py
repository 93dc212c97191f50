"""The format ONNX, run by ONNX Runtime.

Packages are imported in the functions that use them: they are optional, but the command line reads
the format.
"""

import warnings

from pruning.exports import inputs
from pruning.exports.format import Format


def _write(model, path, images, int8_io):
    import onnx  # the package of this name, not this file

    with warnings.catch_warnings():
        # Keras 3.15 uses a name that NumPy 2 no longer has
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        signature = inputs.signature(model, None)
        model.export(path, format="onnx", verbose=False, input_signature=signature)
    onnx.checker.check_model(path)  # tf2onnx may write operations that ONNX does not have
    names = [each.name for each in onnx.load(path).graph.input]
    if len(names) > len(model.inputs):
        raise ValueError(
            f"expected a file of {len(model.inputs)} inputs, got {', '.join(names)}: a layer keeps "
            "values in tensors that are no weights; keep them in weights or in its config"
        )


def _load(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [entering.name for entering in session.get_inputs()]
    return lambda parts: session.run(None, dict(zip(names, parts, strict=True)))


ONNX = Format(
    name="onnx",
    suffix=".onnx",
    writer=_write,
    loader=_load,
    packages=("onnx", "tf2onnx", "onnxruntime"),
    runtime="onnxruntime",
)
