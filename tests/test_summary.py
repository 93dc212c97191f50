"""experiment/summary.py: means over the seeds."""

import numpy as np
import pandas as pd

from experiment import markdown, record, summary
from tests.rows import row


def test_the_summary_holds_mean_deviation_and_number_per_setting_whatever_the_seed(tmp_path):
    csv = tmp_path / "a.csv"
    for seed, accuracy in enumerate((0.25, 0.5, 1.0)):
        record.append_rows(csv, [row(seed=seed, accuracy=accuracy, latency_ms=2.0 * seed)])
    record.append_rows(csv, [row(pruning_ratio=0.8, accuracy=0.5, parameters=7)])
    means, table = summary.write(csv)
    assert (means.name, table.name) == ("a-summary.csv", "a.md")
    assert table.read_text(encoding="utf-8") == markdown.page(
        summary.summarised(record.read_rows(csv))
    )
    found = pd.read_csv(means)
    assert "seed" not in found.columns
    assert found["n"].tolist() == [3, 1]
    assert found["parameters"].tolist() == [2404404, 7]
    # (0.25 + 0.5 + 1) / 3; deviations -1/3, -1/12, 5/12: squares 16 + 1 + 25 of 144, over 2
    np.testing.assert_allclose(found["accuracy_mean"], [7 / 12, 0.5])
    np.testing.assert_allclose(found["accuracy_std"], [(42 / 144 / 2) ** 0.5, np.nan])
    np.testing.assert_allclose(found["latency_ms_mean"][0], 2)
    np.testing.assert_allclose(found["latency_ms_std"][0], 2)


def test_seeds_of_other_sizes_have_one_row_with_the_mean_size(tmp_path):
    """With global ranking each seed keeps other filters."""
    csv = tmp_path / "a.csv"
    together = {"ranking": "global", "keep": 0.1, "baseline_parameters": 1000}
    for seed, parameters in enumerate((200, 400, 401)):
        record.append_rows(csv, [row(seed=seed, parameters=parameters, macs=None, **together)])
    (found,) = summary.summarised(record.read_rows(csv)).to_dict("records")
    assert (found["n"], found["parameters"], found["baseline_parameters"]) == (3, 334, 1000)
    assert found["parameters_removed"] == 0.666333  # (0.8 + 0.6 + 0.599) / 3
    assert pd.isna(found["macs"])
    means, _ = summary.write(csv)
    assert means.read_text().splitlines()[1].count(",334,,1000,") == 1


def test_a_mean_over_rows_of_which_one_was_not_measured_is_no_number(tmp_path):
    csv = tmp_path / "a.csv"
    record.append_rows(csv, [row(), row(seed=1, latency_ms=float("nan"))])
    (found,) = summary.summarised(record.read_rows(csv)).to_dict("records")
    assert np.isnan(found["latency_ms_mean"])
    assert found["accuracy_mean"] == row()["accuracy"]
