"""experiment/lines.py: which trials share a line, and the texts of points and lines."""

import pytest

from experiment import figures, lines, record, summary
from tests.rows import row


def described(csv, *rows):
    record.append_rows(csv, rows)
    return lines.described(summary.summarised(record.read_rows(csv)))


@pytest.mark.parametrize(
    ("ratio", "layer_ratios", "text"),
    [
        (0.4, "", "40%"),
        (0.075, "", "7.5%"),
        (0.0, "", "0%"),
        (0.0, "vgg16-A", "vgg16-A"),
        (0.07, "vgg16-A", "vgg16-A, rest 7%"),
        (0.0, '{"conv1": 0.5}', "cbf67724"),  # printf '{"conv1": 0.5}' | sha256sum
    ],
)
def test_the_text_of_a_point_is_the_removed_part_or_the_layer_ratios(ratio, layer_ratios, text):
    assert lines.removed(row(pruning_ratio=ratio, layer_ratios=layer_ratios)) == text


@pytest.mark.parametrize(
    ("changes", "point", "legend"),
    [
        ({}, "40%", "40% removed"),
        ({"layer_ratios": "vgg16-A"}, "vgg16-A, rest 40%", "vgg16-A, rest 40%"),
        ({"target": "macs 0.3"}, "MACs 30%", "to 30% of the MACs"),
        ({"target": "parameters 0.075"}, "parameters 7.5%", "to 7.5% of the parameters"),
        ({"target": "bytes 500000"}, "500,000 bytes", "to 500,000 bytes"),
        (
            {"target": "macs 0.5", "layer_ratios": "vgg16-A"},
            "vgg16-A, in all MACs 50%",
            "vgg16-A, in all to 50% of the MACs",
        ),
    ],
)
def test_points_and_legends_say_how_much_was_removed(changes, point, legend):
    ratio = {"pruning_ratio": float("nan")} if "target" in changes else {}
    assert lines.removed(row(**changes | ratio)) == point
    assert lines.in_legend(row(**changes | ratio)) == legend


def test_targets_share_a_line_with_ratios_and_are_pruned(tmp_path):
    rows = [row(), row(pruning_ratio=None, target="macs 0.5"), row(pruning_ratio=0.0)]
    drawn = described(tmp_path / "a.csv", *rows)
    assert drawn["kind"].tolist() == ["pruned", "pruned", "unpruned"]
    assert drawn["label"].tolist()[:2] == ["pruned, retrained"] * 2
    assert drawn["text"].tolist() == ["40%", "MACs 50%", "0%"]


def test_labels_name_the_settings_that_differ_and_pruned_networks_come_first(tmp_path):
    scratch = {"control": "scratch", "criterion": "", "strategy": "", "schedule": ""}
    rows = described(
        tmp_path / "a.csv",
        row(pruning_ratio=0.0, retrain_learning_rate=0.5),
        row(**scratch, epoch2=5),
        row(criterion="random", epoch2=5),
        row(coupled="skip"),
        row(compensate="compensate"),
        row(model="other", optimizer="sgd", precision="bfloat16"),  # in the title
    )
    assert rows["label"].tolist() == [
        "criterion random, epochs of retraining 5",
        "coupled skip, criterion l1, epochs of retraining 30",
        "criterion l1, compensate, epochs of retraining 30",
        "criterion l1, epochs of retraining 30",
        "same shape, new weights, epochs of retraining 5",
        "not pruned, retrained, epochs of retraining 30",
    ]


def test_labels_leave_out_what_follows_from_another_setting(tmp_path):
    together = {"ranking": "global", "keep": 0.1}
    steps = {"schedule": "stepwise", "steps": 4}
    rows = described(tmp_path / "a.csv", row(), row(**together), row(**steps))
    assert rows["label"].tolist() == [
        "ranking uniform, schedule one-shot",
        "ranking global",
        "schedule stepwise",
    ]
    scratch = {"control": "scratch", "criterion": "", "strategy": "", "schedule": ""}
    rows = described(tmp_path / "c.csv", row(), row(combine="max"), row(**scratch))
    assert rows["label"].tolist() == ["combine sum", "combine max", "same shape, new weights"]
    rows = described(tmp_path / "b.csv", row(**together), row(**together | {"keep": 0.3}))
    assert rows["label"].tolist() == ["keep 0.1", "keep 0.3"]


def test_there_are_styles_for_any_number_of_lines():
    styles = lines.styles(map(str, range(30)))
    assert len(styles) == 30 and styles["0"] != styles["1"]
    assert len({str(style) for style in styles.values()}) == 30
    for style in figures.STYLES:  # the first seven have a colour, marker and dashes of their own
        assert style in list(styles.values())[:7]
