"""ONNX, run by ONNX Runtime.

Packages are imported where they are used: they are optional, and the command line needs the format.
"""

import warnings

from pruning.exports import inputs
from pruning.exports.format import Format


def _write(model, path, images, int8_io):
    import onnx  # the package of this name, not this file

    with warnings.catch_warnings():
        # of Keras 3.15, which asks NumPy 2 for a name that it has no more
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        how = {"verbose": False, "input_signature": inputs.signature(model, None)}
        model.export(path, format="onnx", **how)
    onnx.checker.check_model(path)  # tf2onnx also writes operations that ONNX does not have


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
