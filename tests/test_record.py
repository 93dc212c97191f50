"""experiment/record.py: CSVs with one row for each combination of settings."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from csv import DictReader
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiment import record, summary
from experiment.columns import COUNT, MEASURED, NORMS, RENAMED, SENSITIVITY, TRIALS
from tests.rows import COMPARED, exported, recalibrated, row

FIRST = (  # the columns of the first release
    "dataset,model,pruning_ratio,seed,parameters,accuracy,pruned_accuracy,baseline_parameters,"
    "baseline_accuracy,macs,baseline_macs,criterion,strategy,schedule,learning_rate,batch_size,"
    "epoch1,epoch2,optimizer,baseline_seconds,retrain_seconds,finished_at,keras,tensorflow"
)
ROOT = Path(__file__).parent.parent
PUBLISHED = {file.stem: file for file in ROOT.glob("docs/measurements/*/*.csv")}
TABLES = {"sensitivity": SENSITIVITY, "sensitivity-norms": NORMS}
TABLES |= dict.fromkeys(["methods", "resnet20", "statistics", "study"], TRIALS)


def test_a_csv_and_a_row_without_columns_that_were_added_later_are_read(tmp_path):
    csv = tmp_path / "a.csv"
    old = {name: row()[RENAMED.get(name, name)] for name in FIRST.split(",")}
    pd.DataFrame([old]).to_csv(csv, index=False)
    assert csv.read_text().splitlines()[0] == FIRST
    unmeasured = dict.fromkeys([*MEASURED, *exported(), *recalibrated()], -1.0) | {"machine": ""}
    unmeasured |= {"litert_int8_io": "", "failed_exports": "", "content": "", "pixels": "0..1"}
    unmeasured |= COMPARED | {"validation_accuracy": -1.0, "best_epoch": -1}
    for rows in (1, 2):
        assert record.read_rows(csv)[MEASURED].isna().all(axis=None)
        table = record.read_rows(csv).fillna(-1.0)
        expected = [row() | unmeasured, row(seed=1) | unmeasured]
        assert table.to_dict("records") == expected[:rows]
        record.append_rows(csv, [old | {"seed": 1}])


@pytest.mark.parametrize("name", TABLES)
def test_a_record_of_an_older_release_is_read_cell_by_cell(name):
    with open(PUBLISHED[name], newline="", encoding="utf-8") as file:
        cells = list(DictReader(file))
    rows = record.read_rows(PUBLISHED[name], TABLES[name])
    assert list(rows.columns) == list(TABLES[name].columns) and len(rows) == len(cells) > 0
    for header in cells[0]:
        column = RENAMED.get(header, header)
        kind = str if TABLES[name].columns[column] is str else float
        written = [kind(each[header] or (math.nan if kind is float else "")) for each in cells]
        values = rows[column].to_numpy(kind, na_value=math.nan)
        np.testing.assert_array_equal(values, written)


def test_every_csv_in_the_documents_is_tested():
    headers = {
        name: file.read_text().splitlines()[0].split(",") for name, file in PUBLISHED.items()
    }
    assert {name for name, header in headers.items() if {"seed", "batch_size"} <= {*header}} == {
        *TABLES
    }


@pytest.mark.parametrize("dataset", ["fashion", "001", "NA", "a,b", 'a"b', "1e5"])
def test_a_row_is_read_as_it_was_written(tmp_path, dataset):
    written = row(dataset=dataset, **exported(), **recalibrated())
    record.append_rows(tmp_path / "a.csv", [written])
    (found,) = record.read_rows(tmp_path / "a.csv").to_dict("records")
    assert found == written | COMPARED


def test_a_row_with_a_target_has_no_ratio_and_is_replaced_by_its_own(tmp_path):
    csv = tmp_path / "a.csv"
    rows = [row(), *(row(pruning_ratio=None, target=f"macs {part}") for part in (0.5, 0.3))]
    record.append_rows(csv, rows)
    for accuracy in (0.5, 0.6):
        record.append_rows(csv, [rows[1] | {"accuracy": accuracy}])
        found = record.read_rows(csv)
        assert found["target"].tolist() == ["", "macs 0.3", "macs 0.5"]
        assert found["accuracy"].tolist()[2] == accuracy
    written = pd.read_csv(csv, dtype=str, keep_default_na=False)
    assert written["pruning_ratio"].tolist() == ["0.4", "", ""]


PRINTABLE = st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" ")
VALUES = {
    str: st.text(PRINTABLE),
    int: st.integers(0, 2**63 - 1),
    COUNT: st.none() | st.integers(0, 2**63 - 1),
    float: st.floats(0, allow_infinity=False),
}


def values(name, kind):
    """What a column may hold; numbers that may be missing are None."""
    of_kind = VALUES[kind]
    if name.endswith(("accuracy", "_removed", "_drop")):
        of_kind = st.floats(-1 if name == "accuracy_drop" else 0, 1)
    return st.none() | of_kind if name in TRIALS.unmeasured else of_kind


ROWS = st.fixed_dictionaries({name: values(name, kind) for name, kind in TRIALS.columns.items()})
CHECKS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check_written(tmp_path, written):
    csv = tmp_path / "a.csv"
    csv.unlink(missing_ok=True)
    record.append_rows(csv, [written])
    (cells,) = record.read_rows(csv).to_dict("records")
    cells = {name: None if pd.isna(value) else value for name, value in cells.items()}
    assert cells == written
    assert [type(cells[name]) for name in written] == [type(value) for value in written.values()]


@settings(CHECKS, max_examples=8)
@given(ROWS)
def test_every_row_is_read_with_the_same_values_and_types(tmp_path, written):
    check_written(tmp_path, written)


@pytest.mark.slow
@settings(CHECKS, max_examples=200)
@given(ROWS)
def test_each_of_many_rows_is_read_with_the_same_values_and_types(tmp_path, written):
    check_written(tmp_path, written)


def test_a_row_with_another_setting_is_another_row(tmp_path):
    csv, others = tmp_path / "a.csv", {}
    for name in TRIALS.settings:
        value = row()[name]
        others[name] = f"{value}x" if isinstance(value, str) else value * 2 + 1
    record.append_rows(csv, [row(**{name: other}) for name, other in others.items()])
    record.append_rows(csv, [row()])
    rows = record.read_rows(csv)
    replaced = [name for name, other in others.items() if not (rows[name] == other).any()]
    assert (replaced, len(rows)) == ([], len(others) + 1)


def test_a_row_without_checksum_is_not_replaced_by_one_with_a_checksum(tmp_path):
    csv = tmp_path / "a.csv"
    old = {name: value for name, value in row().items() if name != "content"}
    record.append_rows(csv, [old])
    record.append_rows(csv, [row()])
    record.append_rows(csv, [old])
    assert record.read_rows(csv)["content"].tolist() == ["", "0123456789ab"]


def test_a_new_row_replaces_the_old_one_with_the_same_settings(tmp_path):
    csv = tmp_path / "a.csv"
    for changes in ({"accuracy": 0.5}, {"pruning_ratio": 0.2}, {"accuracy": 0.75}):
        record.append_rows(csv, [row(**changes)])
    assert record.read_rows(csv)["accuracy"].tolist() == [0.1 + 0.2, 0.75]


def test_the_same_row_again_changes_nothing(tmp_path):
    csv = tmp_path / "a.csv"
    for ratio in (0.2, 0.4, 0.2):
        record.append_rows(csv, [row(pruning_ratio=ratio)])
    assert record.read_rows(csv)["pruning_ratio"].tolist() == [0.2, 0.4]


def test_the_check_of_a_csv_leaves_no_file(tmp_path):
    record.check(tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_fails_the_check(tmp_path):
    # a folder of this name stops even root, who may write to any folder
    (tmp_path / "a.csv.partial.csv").mkdir()
    with pytest.raises(OSError, match="partial"):
        record.check(tmp_path / "a.csv")


def test_rows_appended_at_the_same_time_are_all_written_once(tmp_path):
    csv = tmp_path / "a.csv"
    seeds = list(range(8))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: record.append_rows(csv, [row(seed=seed)]), seeds))
    assert sorted(record.read_rows(csv)["seed"]) == seeds
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.csv.lock"]


@pytest.mark.parametrize(
    "content",
    ["", "foreign", "a,b\n1,2\n", ",".join(TRIALS.columns) + "\nfashion,scnnb,0.4\n"],
)
def test_another_file_is_rejected_and_not_changed(tmp_path, content):
    csv = tmp_path / "a.csv"
    csv.write_text(content)
    with pytest.raises(ValueError, match=r"a\.csv is not a record of this program"):
        record.append_rows(csv, [row()])
    with pytest.raises(ValueError, match=r"a\.csv is not a record of this program"):
        record.check(csv)
    assert csv.read_text() == content


@pytest.fixture(scope="module")
def one_row(tmp_path_factory):
    """The cells of a CSV with a row of every column, as texts."""
    csv = tmp_path_factory.mktemp("one") / "a.csv"
    record.append_rows(csv, [row(**exported())])
    return pd.read_csv(csv, dtype=str, keep_default_na=False)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("accuracy", "nan"),
        ("accuracy", ""),
        ("accuracy", "1.5"),
        ("pruned_accuracy", "-0.1"),
        ("learning_rate", "1e400"),
        ("latency_ms", "inf"),
        ("accuracy_drop", "-1.5"),
        ("accuracy_drop", ""),
        ("parameters_removed", "1.5"),
        ("macs_removed", "-0.1"),
        ("litert_accuracy", "2"),
        ("retrain_learning_rate", "nan"),
        ("seed", "9223372036854775808"),
        ("parameters", "-1"),
        ("macs", "1.5"),
        ("epoch1", "many"),
    ],
)
def test_a_csv_with_an_impossible_number_is_rejected(tmp_path, one_row, name, cell):
    csv = tmp_path / "a.csv"
    one_row.assign(**{name: cell}).to_csv(csv, index=False)
    with pytest.raises(record.NotARecordError, match=r"a\.csv is not a record .*\)$"):
        record.read_rows(csv)


CELLS = {
    "name": st.sampled_from([*TRIALS.columns]),
    "cell": st.text(st.characters(codec="utf-8")),
}


def check_cell(tmp_path, one_row, name, cell):
    csv = tmp_path / "a.csv"
    one_row.assign(**{name: cell}).to_csv(csv, index=False)
    try:
        rows = record.read_rows(csv)
    except record.NotARecordError as error:
        assert "\n" not in str(error)
    else:
        assert len(summary.summarised(rows)) == 1
        record.append_rows(csv, [row(seed=1)])
        assert record.read_rows(csv)[:1].equals(rows)


@settings(CHECKS, max_examples=20)
@given(**CELLS)
def test_any_text_in_a_cell_is_read_and_summarised_or_is_a_one_line_error(
    tmp_path, one_row, name, cell
):
    check_cell(tmp_path, one_row, name, cell)


@pytest.mark.slow
@settings(CHECKS, max_examples=300)
@given(**CELLS)
def test_each_of_many_texts_in_a_cell_is_read_and_summarised_or_is_a_one_line_error(
    tmp_path, one_row, name, cell
):
    check_cell(tmp_path, one_row, name, cell)


def test_a_pipe_in_place_of_a_csv_is_rejected(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(record.NotARecordError, match=r"a\.csv is not a record .*it is not a file"):
        record.check(tmp_path / "a.csv")


def test_the_target_of_a_link_is_replaced_and_the_link_is_kept(tmp_path):
    link, target = tmp_path / "a.csv", tmp_path / "other" / "b.csv"
    target.parent.mkdir()
    link.symlink_to(target)
    for seed in (0, 1):  # the file is created, then replaced
        record.check(link)
        record.append_rows(link, [row(seed=seed)])
    assert link.is_symlink()
    assert record.read_rows(target)["seed"].tolist() == [0, 1]
    files = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.*"))
    assert files == ["a.csv", "other/b.csv", "other/b.csv.lock"]  # one lock for link and target


@pytest.mark.parametrize("missing", [1, 3, 40, 200])
def test_a_truncated_csv_is_rejected(tmp_path, missing):
    csv = tmp_path / "a.csv"
    record.append_rows(csv, [row(), row(seed=1)])
    csv.write_bytes(csv.read_bytes()[:-missing])
    with pytest.raises(ValueError, match=r"a\.csv is not a record of this program"):
        record.read_rows(csv)


def test_macs_that_cannot_be_counted_are_empty_and_others_are_whole_numbers(tmp_path):
    csv, uncounted = tmp_path / "a.csv", {"macs": None, "baseline_macs": None}
    rows = [
        row(),
        row(seed=1),
        row(model="own", **uncounted),
        row(model="own", seed=1, **uncounted),
    ]
    record.append_rows(csv, rows[:2])
    first = csv.read_text()
    record.append_rows(csv, rows[2:])
    assert csv.read_text().startswith(first) and ",0.9,3803832,7865344,700.1," in first
    assert csv.read_text().count(",0.9,,,700.1,") == 2
    assert record.read_rows(csv)["macs"].tolist() == [3803832, 3803832, pd.NA, pd.NA]
    assert summary.summarised(record.read_rows(csv))["n"].tolist() == [2, 2]


def test_a_row_without_a_column_is_rejected(tmp_path):
    with pytest.raises(ValueError, match="row has the columns seed, .*; give dataset, model"):
        record.append_rows(tmp_path / "a.csv", [{"seed": 1}])
