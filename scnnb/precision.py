"""In what precision a training computes, and whether this machine is made for it."""

import contextlib
import re
from pathlib import Path

from scnnb.backends import BACKEND
from scnnb.leaves import leaves

CPU_INFO = Path("/proc/cpuinfo")
FAST = {"avx512_bf16", "amx_bf16", "bf16"}  # what processors of x86 and ARM call it


def check(precision):
    """Raise ValueError where the precision would only make a training slower.

    A GPU, and a processor whose abilities the system does not tell, may compute as they can.
    """
    if precision == "float32" or BACKEND.gpus():
        return
    try:
        told = re.findall(r"^(?:flags|Features)\s*:(.*)", CPU_INFO.read_text(), re.MULTILINE)
    except OSError:
        return
    if told and not FAST & set(told[0].split()):
        raise ValueError(
            "--precision bfloat16 came, but this processor has no instructions for it (avx512_bf16 "
            "or amx_bf16) and would be slower than in float32; leave it out"
        )


@contextlib.contextmanager
def computing_in(precision, model):
    """The model computes in this precision inside the `with`; behind it, as it did before.

    Weights stay in float32, and so does the last layer, which ends in probabilities. Graphs are to
    be traced inside.

    Args:
        precision: `float32`, or `bfloat16` for layers that would compute in float32.
        model: built Keras model.
    """
    changed = []
    try:
        for layer in leaves(model)[:-1] if precision == "bfloat16" else ():
            if layer.dtype_policy.name == "float32":
                changed.append((layer, layer.dtype_policy))
                layer.dtype_policy = "mixed_bfloat16"
        yield
    finally:
        for layer, policy in changed:
            layer.dtype_policy = policy
