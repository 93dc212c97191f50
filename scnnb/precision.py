"""Set the precision of a training, and check that the processor has instructions for it."""

import contextlib
import re
from pathlib import Path

from scnnb.backends import BACKEND
from scnnb.leaves import leaves

CPU_INFO = Path("/proc/cpuinfo")
FAST = {"avx512_bf16", "amx_bf16", "bf16"}  # names of the instructions on x86 and ARM


def check(precision):
    """Check that the precision does not make a training slower.

    A GPU is accepted, and so is a processor whose instructions are not known.

    Raises:
        ValueError: this processor has no instructions for bfloat16.
    """
    if precision == "float32" or BACKEND.gpus():
        return
    try:
        flags = re.findall(r"^(?:flags|Features)\s*:(.*)", CPU_INFO.read_text(), re.MULTILINE)
    except OSError:
        return
    if flags and not FAST & set(flags[0].split()):
        raise ValueError(
            "--precision: expected float32 on this processor, got bfloat16; it has no instructions "
            "for bfloat16 (avx512_bf16 or amx_bf16), so the training would be slower"
        )


@contextlib.contextmanager
def computing_in(precision, model):
    """Inside the `with`, the model computes in this precision; after it, as before.

    The weights and the last layer, which returns probabilities or logits, are in float32. Trace
    graphs inside the `with`, which gives the list of the layers that were changed.

    Args:
        precision: `float32` for no change, or `bfloat16` to change the layers that are in float32.
        model: built Keras model.
    """
    inner = leaves(model)[:-1] if precision == "bfloat16" else []
    lowered = [layer for layer in inner if layer.dtype_policy.name == "float32"]
    with policies(lowered, "mixed_bfloat16"):
        yield lowered


@contextlib.contextmanager
def policies(layers, name):
    """Inside the `with`, these layers have the dtype policy of this name; after it, their own."""
    own = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = name
        yield
    finally:
        for layer, policy in zip(layers, own, strict=True):
            layer.dtype_policy = policy
