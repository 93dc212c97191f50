"""experiment/figures.py: size, styles, title, legend and files."""

import re
import zlib

import matplotlib.colors
import matplotlib.image
from matplotlib.text import Text

from experiment import figures


@figures.styled()
def drawn(title="a"):
    figure, grid = figures.grid(1, 2)
    for axes in grid.flat:
        axes.plot([0, 1], [0, 1], label="line 1")
        axes.set_title(title)
    figures.add_legend(figure, figures.handles(grid.flat), "what it is\nand more")
    return figure


def texts_of_pdf(path):
    """List of the lines of text in a PDF of matplotlib."""
    texts = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", path.read_bytes(), re.S):
        try:
            content = zlib.decompress(stream)
        except zlib.error:
            continue
        for text in re.findall(rb"BT\n(.*?)ET", content, re.S):
            letters = b"".join(re.findall(rb"\(((?:\\.|[^\\)])*)\)", text, re.S))
            letters = re.sub(rb"\\(.)", rb"\1", letters.replace(b"\0", b""))
            texts.append(letters.decode("latin-1"))
    return texts


def test_a_figure_is_a_png_and_a_pdf_with_the_same_size_and_texts(tmp_path):
    figure = drawn(title="accuracy (%) of $_$ and $^$")  # must not be read as a formula
    figures.save(figure, tmp_path / "a.b.png")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.b.pdf", "a.b.png"]
    pdf = tmp_path / "a.b.pdf"
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf.read_bytes())
    width, height = (float(number) / 72 * figures.DPI for number in box.groups())
    picture = matplotlib.image.imread(tmp_path / "a.b.png")
    assert abs(picture.shape[1] - width) < 2 and abs(picture.shape[0] - height) < 2
    assert picture[..., :3].std() > 0.01
    shown = [text.get_text() for text in figure.findobj(Text) if text.get_visible()]
    written = set(texts_of_pdf(pdf))
    lines = {line for text in shown for line in text.splitlines()}
    assert {"accuracy (%) of $_$ and $^$", "line 1", "and more", "0.2"} <= written
    worded = [{line for line in each if re.search("[a-z]", line)} for each in (lines, written)]
    assert worded[0] == worded[1]


def test_the_same_figure_is_the_same_file(tmp_path):
    for name in ("a.png", "b.png"):
        figures.save(drawn(), tmp_path / name)
    for ending in (".png", ".pdf"):
        files = [(tmp_path / name).with_suffix(ending).read_bytes() for name in "ab"]
        assert files[0] == files[1]
        assert b"Date" not in files[0]


def test_letters_that_are_not_in_the_font_are_drawn_without_a_warning(tmp_path):
    figures.save(drawn(title="\u6a21\u578b"), tmp_path / "a.png")  # a warning would be an error
    assert (tmp_path / "a.png").exists() and (tmp_path / "a.pdf").exists()


def test_lines_differ_in_grey_and_for_colour_blind_readers():
    for what in ("marker", "linestyle", "color"):
        assert len({str(style[what]) for style in figures.STYLES}) == len(figures.STYLES)
    first, second, *_ = (matplotlib.colors.to_rgb(style["color"]) for style in figures.STYLES)
    assert first[2] > first[0] and second[0] > second[2]  # blue and orange, not red and green


def test_panels_have_the_same_height_with_a_long_legend():
    heights = []
    for number in (1, 30):
        with figures.styled():
            figure, grid = figures.grid(1, 1)
            for line in range(number):
                grid[0, 0].plot([0], [0], label=f"a line of some length, number {line}")
            figures.add_legend(figure, figures.handles(grid.flat))
        heights.append(grid[0, 0].bbox.height)
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0
        assert box.y1 <= grid[0, 0].bbox.y0
    assert heights[1] > 0.9 * heights[0]


def test_a_title_names_what_differs_between_networks_and_fits_into_the_figure():
    setting = {"dataset": "few", "model": "own", "epoch1": 2, "optimizer": "sgd", "pixels": ""}
    names = ["model", "epoch1", "optimizer", "pixels"]
    assert figures.title(setting, names, ["more"], ["2 epochs", ""]) == (
        "own on few, optimizer sgd, more\n2 epochs"
    )
    long = figures.title(setting | {"optimizer": "word " * 30}, names)
    assert max(map(len, long.splitlines())) <= figures.LETTERS


def test_the_number_of_seeds_is_a_number_or_a_range():
    assert [figures.seeds(n) for n in ([1, 1], [3, 3], [1, 3])] == [
        "n = 1 seed",
        "n = 3 seeds",
        "n = 1 to 3 seeds",
    ]
