"""pruning/exports/litert.py: int8, and the order of inputs."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

import pruning
from pruning.exports import litert

IMAGES = np.random.default_rng(0).random((40, 8, 8, 3), np.float32)


def test_int8_values_equal_those_worked_out_by_hand():
    tensor = {"dtype": np.int8, "quantization": (0.25, -3)}
    values = np.array([0.5, 0.6, 0.7, -100.0, 100.0], np.float32)
    assert litert._quantised(values, tensor).tolist() == [-1, -1, 0, -128, 127]
    assert litert._real(np.array([-1, -3], np.int8), tensor).tolist() == [0.5, 0.0]


def test_int8_is_int8_inside_and_float32_or_int8_outside(tmp_path):
    keras.utils.set_random_seed(0)
    middle = [layers.Conv2D(4, 3, activation="relu"), layers.Flatten()]
    model = keras.Sequential([keras.Input((8, 8, 3)), *middle, layers.Dense(40, "softmax")])
    float_bytes = pruning.export(model, tmp_path / "float32.tflite", "litert")
    path = tmp_path / "int8.tflite"
    answers = []
    for int8_io, outside in ((False, np.float32), (True, np.int8)):
        size = pruning.export(model, path, "litert-int8", images=IMAGES, int8_io=int8_io)
        assert size < float_bytes
        interpreter = Interpreter(str(path))
        interpreter.allocate_tensors()
        (entering,), (leaving,) = interpreter.get_input_details(), interpreter.get_output_details()
        assert entering["dtype"] == leaving["dtype"] == outside
        inside = {tensor["dtype"] for tensor in interpreter.get_tensor_details()} - {outside}
        assert inside <= {np.int8, np.int32}
        answers.append(litert.LITERT_INT8.load(path, threads=1)(IMAGES))
    np.testing.assert_allclose(*answers, atol=0.01)


@pytest.mark.parametrize("images", [IMAGES, [IMAGES], [IMAGES, IMAGES[:5]]])
def test_images_that_do_not_fit_the_inputs_are_an_error(tmp_path, images):
    inputs = [keras.Input((8, 8, 3)) for _ in range(2)]
    model = keras.Model(inputs, layers.Add()(inputs))
    with pytest.raises(ValueError, match="images: expected an array for each of 2 inputs"):
        pruning.export(model, tmp_path / "x.tflite", "litert-int8", images=images)


def test_a_file_whose_inputs_have_no_order_is_an_error():
    with pytest.raises(
        ValueError, match="names input_0, input_1, got .*; write .* with Keras 3.15"
    ):
        litert._in_order({"keras_tensor_7": {}, "keras_tensor_8": {}}, "input")
