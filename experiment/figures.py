"""Size, styles, title, legend and files of all figures."""

import contextlib
import textwrap
import warnings

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from experiment import fields
from experiment.layer_ratios import shortened
from experiment.log import said
from experiment.settings import TrialSettings
from scnnb.files import replaced

WIDTH = 4.8  # inches; in a paper's column of 3.3 inches, letters are 5 to 6 points high
PANEL = 2.4  # inches, height of a panel with its axis and title
LINE = 0.16  # inches, height of a line of the legend
LETTERS = 68  # most letters in a line of a title
DPI = 250
GREY = "0.55"
NAMES = {"epoch2": "epochs of retraining"}  # column: a name that a reader understands
# Okabe and Ito's colours, which colour-blind readers can tell apart; markers and dashes for grey
STYLES = [
    {"color": color, "marker": marker, "linestyle": dashes}
    for color, marker, dashes in (
        ("#0072B2", "o", "-"),
        ("#D55E00", "s", "--"),
        ("#009E73", "^", "-."),
        ("#CC79A7", "v", ":"),
        ("#E69F00", "D", (0, (6, 2))),
        ("#56B4E9", "P", (0, (4, 1, 1, 1, 1, 1))),
        ("#000000", "X", (0, (1, 2))),
    )
]


@contextlib.contextmanager
def styled():
    """Set the style of all figures inside the `with`, or inside the decorated function."""
    settings = matplotlib.rc_context(
        {
            "font.size": 8.5,
            "axes.titlesize": 8.5,
            "axes.grid": True,
            "grid.alpha": 0.3,
            "lines.linewidth": 1.2,
            "lines.markersize": 4.5,
            "text.parse_math": False,  # the name of a file can contain a dollar sign
            "pdf.fonttype": 42,  # text and not curves, as publishers want
        }
    )
    with settings, warnings.catch_warnings():
        # matplotlib draws a box for a letter that is not in the font
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def grid(lines, columns, **options):
    """A Figure of `lines` times `columns` panels, and the 2-D array of the panels."""
    figure = Figure(figsize=(WIDTH, PANEL * lines), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)  # else each text whose size is asked for gets a canvas of its own
    return figure, figure.subplots(lines, columns, squeeze=False, **options)


def add_reference(axes, accuracy, **options):
    """Draw a line at the accuracy of the baseline, in percent."""
    axes.axhline(accuracy, color="0.4", linestyle="--", linewidth=0.9, zorder=1, **options)


def handles(panels):
    """`{label: handle}` of the panels for the legend, each label once."""
    handle_of = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handle_of.setdefault(label, handle)
    return handle_of


def add_legend(figure, handles, title=None):
    """Add the legend of `{label: handle}` below the panels, and fix the layout."""
    longest = max(map(len, handles), default=0)
    columns = max(
        1, int(WIDTH / (0.055 * longest + 0.5))
    )  # width of a letter and of a handle in inches
    lines = -(-len(handles) // columns) + len((title or "").splitlines())
    figure.set_figheight(figure.get_figheight() + LINE * lines + 0.1)
    figure.legend(
        handles.values(),
        handles,
        title=title,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize="small",
        title_fontsize="small",
        handlelength=3,  # so that dashes can be told apart
    )
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # labels are placed later and need a fixed layout


def title(setting, names, of_network=(), of_training=()):
    """The title of the panels of a network: one line about the network, one about its training.

    Args:
        setting: row of the CSV, a mapping of its columns.
        names: columns that differ between networks, see `varying`.
        of_network: more texts for the first line; empty ones are ignored.
        of_training: texts for the second line; empty ones are ignored.
    """
    others = in_words(setting, [n for n in names if n not in ("dataset", "model", "epoch1")])
    network = f"{setting['model']} on {setting['dataset']}"
    texts = [
        ", ".join(filter(None, line)) for line in ([network, others, *of_network], of_training)
    ]
    return "\n".join(textwrap.fill(text, LETTERS) for text in texts if text)


def varying(rows, names):
    """The columns in which rows differ; the checksum only if no other column differs."""
    others = [name for name in names if name != "content"]
    several = rows[names].drop_duplicates()
    return [
        name
        for name in (names if several.duplicated(others).any() else others)
        if several[name].nunique() > 1
    ]


def differing(rows, names):
    """The columns of a trial in which rows differ, without those that follow from others."""
    known = fields.of(TrialSettings)
    return [
        name
        for name in names
        if rows[name].nunique() > 1
        and not (
            callable(known[name].metadata["default"])
            and (rows[name] == fields.usual(known[name], rows)).all()
        )
    ]


def span(numbers):
    """The number as a text, or the lowest and the highest of several."""
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def seeds(numbers):
    """The number of seeds as a text."""
    return f"n = {span(numbers)} seed{'s' * (max(numbers) > 1)}"


def in_words(setting, names):
    """Settings as a text, without empty ones.

    Args:
        setting: row of the CSV, a mapping of its columns.
        names: columns to name.
    """
    values = {name: setting[name] for name in names if setting[name] != ""}
    if "layer_ratios" in values:
        values["layer_ratios"] = shortened(values["layer_ratios"])
    words = {name: NAMES.get(name, name.replace("_", " ")) for name in values}
    return ", ".join(said(words[name], value) for name, value in values.items())


@styled()
def save(figure, png):
    """Write the figure as PNG and as PDF, each completely or not at all.

    Args:
        figure: matplotlib Figure.
        png: pathlib.Path of the PNG; the PDF is beside it.
    """
    for path in (png, png.with_suffix(".pdf")):
        with replaced(path) as partial:
            # without a date, the same figure is the same file
            metadata = {"CreationDate": None} if path.suffix == ".pdf" else None
            figure.savefig(partial, metadata=metadata)
