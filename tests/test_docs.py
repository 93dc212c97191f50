"""README.md and docs/: links, calls and code work, and generated parts are those of the code."""

import re
import shlex
from pathlib import Path

import keras
import pytest

from docs import generate
from experiment import arguments, fields
from experiment.columns import MEANINGS, TRIALS
from experiment.settings import TrialSettings
from tests.versions import from_keras

ROOT = Path(__file__).parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
}
CALLS = {
    call
    for text in PAGES.values()
    for call in re.findall(r"python3 formal\.py ((?:fashion|cifar10) [^;&>#`\n]*)", text)
}


def blocks(page, language):
    """The blocks of code or text in a page, joined."""
    return "".join(re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.M | re.S))


@pytest.mark.usefixtures("forgotten")
def test_the_code_of_three_pages_prints_what_the_pages_say(tmp_path, monkeypatch, capsys):
    pages = [page for page, text in PAGES.items() if "```text" in text]
    assert len(pages) == 3
    monkeypatch.chdir(tmp_path)
    for page in pages:
        keras.utils.clear_session()  # the layers get the names that they have in a new process
        exec(blocks(page, "python"), {"__name__": "page"})
        assert capsys.readouterr().out == blocks(page, "text"), page


@pytest.mark.parametrize(
    ("page", "part"),
    [
        ("docs/command-line.md", "arguments"),
        ("docs/results.md", "columns"),
        pytest.param(
            "docs/networks.md", "passing", marks=from_keras((3, 15), "the page lists its layers")
        ),
    ],
)
def test_the_generated_part_of_a_page_is_what_the_code_says(page, part):
    assert f"<!-- begin {part} -->" in PAGES[page]
    assert generate.renewed(PAGES[page]) == PAGES[page], "call: python -m docs.generate"


def test_every_column_is_a_setting_or_has_a_meaning():
    assert sorted([*fields.of(TrialSettings), *MEANINGS]) == sorted(TRIALS.columns)


def test_a_generated_table_has_a_line_for_every_argument_and_column():
    assert "| `--export FORMAT [FORMAT ...]` | Also write the baseline " in generate.command_line()
    assert generate.command_line().count("Example: ") > 25
    rows = re.findall(r"^\| `(\w+)` \|", generate.columns(), re.M)
    assert rows == [*TRIALS.columns]


def test_pages_have_calls():
    assert len(CALLS) > 20


@pytest.mark.parametrize("call", sorted(CALLS))
def test_every_call_of_a_page_is_accepted(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.keras").touch()
    Path("mine.py").write_text(blocks("docs/custom.md", "python"))
    call = re.sub(r"\$\{[^}]*\}|\$\w+", "0.1", call)  # a variable of the shell
    values = shlex.split(re.sub(r"\b(HOST|HEAD):PORT", "HOST:6379", call))
    given, _ = arguments.parse(values)
    assert given["dataset"] == values[0]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file_and_heading(page):
    for target, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", PAGES[page]):
        if target.startswith(("http:", "https:")):
            continue
        file = (ROOT / page).parent / target if target else ROOT / page
        assert file.exists(), target
        if heading:
            assert heading in headings(file.read_text(encoding="utf-8")), f"{target}#{heading}"


def headings(text):
    """The names by which links lead to the headings of a page."""
    found = re.findall(r"^#+ (.*)", text, re.M)
    return [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in found]
