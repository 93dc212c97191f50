"""The formats of LiteRT, formerly TensorFlow Lite, in float32 and in int8.

Packages are imported in the functions that use them: the command line reads the formats and must
not wait seconds for Keras, and LiteRT's runtime is optional.
"""

import re
import warnings

import numpy as np

from pruning.exports import inputs
from pruning.exports.format import Format


def _write(model, path, images, int8_io, **options):
    if not options:
        import tensorflow as tf

        # by default Keras also allows operations of TensorFlow, which LiteRT alone cannot run
        options["target_spec"] = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    # a batch of one image: LiteRT uses its fast CPU kernels only if the batch size is fixed
    options |= {"verbose": False, "input_signature": inputs.signature(model, 1)}
    try:
        model.export(path, format="litert", **options)
    except Exception as error:  # the converter has no exception class for a missing operation
        if unknown := re.findall(r"'tf\.(\w+)' op is neither", str(error)):
            names = ", ".join(dict.fromkeys(unknown))
            raise ValueError(f"LiteRT has no operation {names}") from error
        raise


def _write_int8(model, path, images, int8_io):
    import tensorflow as tf

    def examples():
        for n in range(len(images[0])):
            example = [part[n : n + 1] for part in images]
            # several inputs go by name, because LiteRT orders them differently; Keras 3.13 has no
            # name for a single one
            several = len(example) > 1
            yield dict(zip(inputs.names(model), example, strict=True)) if several else example

    kind = tf.int8 if int8_io else tf.float32
    with warnings.catch_warnings():
        # TensorFlow 2.20 warns that it has no statistics, but it finds them from the images
        warnings.filterwarnings("ignore", "Statistics for quantized inputs", UserWarning)
        # TensorFlow 2.21 warns that its interpreter is deprecated, which only it uses here
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is", UserWarning)
        _write(
            model,
            path,
            images,
            int8_io,
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=examples,
            target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
            inference_input_type=kind,
            inference_output_type=kind,
        )


def _load(path, threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    interpreter.allocate_tensors()
    signature = (
        interpreter.get_signature_runner()
    )  # only the signature has the names of the tensors
    entering = _in_order(signature.get_input_details(), "input")
    leaving = _in_order(signature.get_output_details(), "output")

    def answer_one(*images):
        for image, tensor in zip(images, entering, strict=True):
            interpreter.set_tensor(tensor["index"], _quantised(image[np.newaxis], tensor))
        interpreter.invoke()
        return [_real(interpreter.get_tensor(tensor["index"]), tensor) for tensor in leaving]

    def answer(parts):
        answers = [answer_one(*images) for images in zip(*parts, strict=True)]
        return [np.concatenate(of_one_output) for of_one_output in zip(*answers, strict=True)]

    return answer


def _in_order(tensors, name):
    names = [f"{name}_{n}" for n in range(len(tensors))]
    if len(tensors) == 1:
        return [*tensors.values()]
    if set(names) != set(tensors):
        raise ValueError(
            f"expected {name}s with the names {', '.join(names)}, got {', '.join(tensors)}; "
            "write the file with Keras 3.15 or newer"
        )
    return [tensors[each] for each in names]


def _quantised(values, tensor):
    if tensor["dtype"] != np.int8:
        return values.astype(tensor["dtype"])
    scale, zero = tensor["quantization"]
    return np.clip(np.round(values / scale) + zero, -128, 127).astype(np.int8)


def _real(values, tensor):
    if tensor["dtype"] != np.int8:
        return values
    scale, zero = tensor["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale)


LITERT = Format(
    name="litert",
    suffix=".tflite",
    writer=_write,
    loader=_load,
    packages=("ai_edge_litert",),
    runtime="ai_edge_litert",
)
LITERT_INT8 = Format(
    name="litert-int8",
    suffix="_int8.tflite",
    writer=_write_int8,
    loader=_load,
    packages=("ai_edge_litert",),
    runtime="ai_edge_litert",
    quantised=True,
)
