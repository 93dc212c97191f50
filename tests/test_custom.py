"""--custom: the user's own layers, rules, images, criteria and networks."""

import pickle
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import data
import scnnb
from experiment import custom, grid, networks, nodes, record
from experiment.arguments import parse
from experiment.columns import SENSITIVITY
from experiment.errors import UserError
from experiment.runner import Job
from experiment.study import study
from experiment.work import Shared
from pruning import criteria
from tests.program import run

PAGE = (Path(__file__).parent.parent / "docs" / "custom.md").read_text(encoding="utf-8")
MINE = re.search(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)[1]
CALLS = [
    shlex.split(call) for call in re.findall(r"^python3 formal\.py (my_images .*)", PAGE, re.M)
]
SHORT = ("0.001", "40", "1", "1")  # lr, batchSz, Epoch1, Epoch2
NAMED = ("--model", "my_network", "--criterion", "my_score", "--custom", "mine.py")


@pytest.fixture(autouse=True)
def forgotten_files(forgotten):
    """After each test, forget files and what they registered."""
    yield
    custom._run.cache_clear()
    sys.modules.pop(custom.MODULE, None)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Write the file of the page, changed: `mine((text, other text), ...)`."""
    monkeypatch.chdir(tmp_path)

    def write(*changes):
        source = MINE
        for text, other in changes:
            assert source.count(text) == 1
            source = source.replace(text, other)
        Path("mine.py").write_text(source)
        return custom.read("mine.py")

    return write


def test_the_calls_of_the_page_write_rows_with_the_names_of_the_functions(mine, tmp_path, call):
    mine()
    trials, sensitivity = CALLS
    status, out, err = call(tmp_path, *trials)
    assert (status, err) == (0, "")
    rows = record.read_rows(tmp_path / "results" / "my_images.csv")
    assert rows["criterion"].tolist() == ["my_score"]
    assert set(rows["dataset"]) == {"my_images"} and set(rows["model"]) == {"my_network"}
    assert (rows["baseline_parameters"] - rows["parameters"]).tolist() == [1060]

    (baseline,) = tmp_path.glob("results/*/baseline.keras")
    stored = (*trials[:5], "0.5", "--model", baseline, "--trained", "--dry-run", "--custom")
    assert call(tmp_path, *stored, "mine.py")[0] == 0  # the layer can be loaded and pruned

    status, out, err = call(tmp_path, *sensitivity)
    assert (status, err) == (0, "")
    assert "baseline (seed 0)" not in out  # it was read, with the layer
    rows = record.read_rows(tmp_path / "results" / "my_images-sensitivity.csv", SENSITIVITY)
    assert set(rows["layers"]) == {"conv1", "conv2"} and set(rows["criterion"]) == {"my_score"}


def test_a_criterion_removes_the_filters_of_lowest_score_and_cannot_change_its_kernel(mine):
    with custom.loaded(mine()):
        kernel = np.array([[[[0.0, 1.0, 3.0]]]])
        scores = criteria.OF_KERNELS["my_score"](kernel)
    np.testing.assert_array_equal(scores, [1 + 3, 1 + 2, 3 + 2])
    with custom.loaded(mine(("    filters = kernel", "    kernel[:] = 0\n    filters = kernel"))):
        criteria.OF_KERNELS["my_score"](kernel)
    assert kernel.max() == 3


def refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        parse([*map(str, arguments)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("dataset", "flag", "name", "guess"),
    [
        ("my_imags", "--model", "my_network", "my_images"),
        ("my_images", "--model", "mynetwork", "my_network"),
        ("my_images", "--criterion", "my-score", "my_score"),
    ],
)
def test_a_wrong_name_is_answered_with_those_of_the_file_which_is_not_run(
    dataset, flag, name, guess, mine, capsys
):
    mine(("import keras\n", "raise Exception('it is run')\nimport keras\n"))
    given, options = parse(["my_images", *SHORT, "0.5", *NAMED])
    assert (given["dataset"], given["model"]) == ("my_images", "my_network")
    assert given["criterion"] == ["my_score"]
    line = refused([dataset, *SHORT, 0.5, flag, name, "--custom", "mine.py"], capsys)
    assert ", my_images, my_network, my_score" in line
    assert f"(did you mean {guess}?)" in line
    assert "a function of --custom" in refused([dataset, *SHORT, 0.5, flag, name], capsys)


def test_a_function_that_begins_with_an_underscore_or_is_inside_another_has_no_name(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("def _my_score(kernel):\n    def my_images(): pass")
    for arguments in (["my_images", *SHORT, 0.5], ["fashion", *SHORT, 0.5, "--model", "_my_score"]):
        assert "expected " in refused([*arguments, "--custom", "mine.py"], capsys)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "argument --custom: expected the path of a Python file, got 'mine.py': there is no"),
        ("\n\ndef my_images(:", r"argument --custom: mine\.py:3: invalid syntax"),
        ("\nreturn 1", r"argument --custom: mine\.py:2: 'return' outside function"),
        (
            "x = 1\ndef random(kernel): pass",
            r"mine\.py:2: expected functions with names of their own, got random",
        ),
        ("def vgg16(image_shape, num_classes): pass", r"mine\.py:1: .*, got vgg16, which formal\."),
        ("def mnist(): pass", r"mine\.py:1: .*, got mnist, which formal\.py has already; rename"),
        ("x = '\0'", "argument --custom: .*null byte"),
    ],
)
def test_a_file_that_cannot_run_or_has_a_known_name_is_a_wrong_argument(
    source, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    if source is not None:
        Path("mine.py").write_text(source)
    line = refused(["fashion", *SHORT, 0.5, "--custom", "mine.py"], capsys)
    assert re.search(message, line), line


def test_trained_requires_a_file_also_with_a_function(mine, capsys):
    mine()
    line = refused(["my_images", *SHORT, 0.5, *NAMED, "--trained"], capsys)
    assert "--trained requires --model with the path of a file, got my_network;" in line


IMAGES = "return images[:500], labels[:500], images[500:], labels[500:]"
NETWORK = 'return keras.Model(images, keras.layers.Dense(num_classes, activation="softmax")(x))'
SCORES = "return [np.linalg.norm(filters.T - one, axis=1).sum() for one in filters.T]"
FAULTS = [
    ("import numpy as np", "import nimpy as np", r"mine\.py:LINE: ModuleNotFoundError: .*nimpy"),
    ("import numpy as np", "raise SystemExit", r"mine\.py:LINE: SystemExit"),
    (IMAGES, "return open('missing.npz')", r"mine\.py:LINE: .*No such file .*'missing\.npz'"),
    (IMAGES, "return 1 / 0", r"mine\.py:LINE: ZeroDivisionError: division by zero"),
    (
        IMAGES,
        "return (images, labels), (images, labels)",
        "my_images: expected x_train, y_train, x_test, y_test, got 2 values",
    ),
    (IMAGES, "pass", "my_images: expected x_train, y_train, x_test, y_test, got NoneType"),
    (
        IMAGES,
        "return images / 255, labels, images, labels",
        r"my_images: x_train: expected uint8 images with values 0\.\.255, got float64",
    ),
    ("def my_images():", "def my_images(part):", r"my_images: expected a function of \(\), got an"),
    (NETWORK, "unknown", r"mine\.py:LINE: NameError: name 'unknown' is not defined"),
    (NETWORK, "return images", "my_network: expected a Keras model, got KerasTensor"),
    (NETWORK, NETWORK.replace("num_classes", "3"), "my_network: expected a network of 2 classes,"),
    (NETWORK, "return keras.Sequential()", "my_network: expected a built model;"),
    ("return self.factor * x", "return self.lost * x", r"mine\.py:LINE: .*no attribute 'lost'"),
    (
        "rules.RULES[Scale] = rules.per_channel",
        "rules.RULES[Scale] = lambda call, incoming, new: rules.none",
        r"mine\.py:LINE: AttributeError: .*'none'",
    ),
    (
        "rules.RULES[Scale] = rules.per_channel",
        "",
        r"unsupported: .*scale \(Scale\): there is no rule for this type",
    ),
    (SCORES, "return filters", r"my_score: expected 8 finite scores, .*, got shape \(9, 8\)"),
    (
        SCORES,
        "return np.log(0 * filters.T.sum(axis=1))",
        r"my_score: expected 8 finite scores, .* of shape \(3, 3, 1, 8\), got NaN or infinity",
    ),
    (SCORES, "return 'best'", "my_score: expected numbers, one per filter: could not convert"),
    (SCORES, "return lost", r"mine\.py:LINE: NameError: name 'lost' is not defined"),
    ("def my_score(kernel):", "def my_score():", r"my_score: expected a function of \(kernel\), "),
]


def line_of(text):
    """The number of the line of the page's file that holds this text."""
    return str(MINE[: MINE.index(text)].count("\n") + 1)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize(("text", "other", "message"), FAULTS)
def test_a_fault_in_the_file_ends_before_any_training_with_1_and_one_line(
    text, other, message, mine, tmp_path, call
):
    mine((text, other))
    status, out, err = call(tmp_path, "my_images", *SHORT, 0.5, *NAMED, "--unsupported", "error")
    assert status == 1
    assert re.fullmatch(f"formal.py: {message.replace('LINE', line_of(text))}.*\n", err), err
    assert "training the baseline" not in out


def test_an_error_of_the_program_itself_keeps_its_traceback(mine):
    with pytest.raises(ZeroDivisionError), custom.loaded(mine()):
        print(1 / 0)


def test_the_content_of_the_file_is_a_part_of_the_identity(mine, few):
    dataset, model = data.load(few), scnnb.NETWORKS["scnnb"]((28, 28, 1), 10)
    files = [None, mine(), mine(("He et al. 2019", "He 2019")), mine()]
    contents = [networks.content(dataset, model, "scnnb", file) for file in files]
    assert len(set(contents)) == 3
    assert contents[1] == contents[3]


def job_on_a_node(file):
    """Train the baseline of `my_images` and `my_network` as a node does, with the file's copy."""
    with custom.loaded(file):
        dataset = data.load("my_images")
    custom._run.cache_clear()  # a node is another process, without the file
    given, _ = parse(["my_images", "0.1", "100", "1", "1", "0.5", *NAMED])
    trials = grid.trials(given, dataset="my_images", content="")
    job = Job("baseline", study(trials).baselines[0])
    Path("mine.py").unlink()
    order = nodes.Order(Shared("my_network", [], False), ("my_network", None), False, {}, file)
    order = pickle.loads(pickle.dumps(order))
    return nodes.on_node(dataset, {}, {}, job, order, tell=print)


def test_a_node_runs_the_copy_of_the_file(mine):
    _, files, *_ = job_on_a_node(mine())
    assert {"baseline.keras", "baseline.json"} <= files.keys()


def test_an_error_in_the_file_on_a_node_is_one_of_the_user_with_its_line(mine):
    file = mine((NETWORK, "return lost"))
    message = rf"^mine\.py:{line_of(NETWORK)}: NameError: name 'lost' is not defined$"
    with pytest.raises(UserError, match=message):
        job_on_a_node(file)


@pytest.mark.slow
def test_trials_on_ray_have_the_rows_of_a_sequential_run(mine, tmp_path):
    mine()
    tables = []
    for options in ([], ["--ray"]):
        csv = ("--csv", f"{len(options)}.csv", "--fresh")
        threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
        status, _, err = run(tmp_path, *CALLS[0], *csv, *options, variables=threads)
        assert (status, err) == (0, "")
        table = record.read_rows(tmp_path / csv[1]).sort_values(["pruning_ratio", "criterion"])
        tables.append(table[["criterion", "content", "accuracy", "pruned_accuracy"]].values)
    np.testing.assert_array_equal(*tables)
