"""Tables of the report: who spoke how long, the least certain first, for a terminal and as Markdown."""

from pathlib import Path

from ssdiar.results import recording_entry
from ssdiar.results.tables import Table, as_markdown, as_text, talk_table
from ssdiar.timeline.spans import Turn

TURNS = [Turn("a", "speaker1", 0, 4, 0.5), Turn("a", "speaker2", 3, 13, 1.0), Turn("a", "speaker1", 20, 21.0004)]


def entries():
    """Twelve recordings: ten by their number; one by its turns, whose number is given; in the last nobody speaks."""
    made = [recording_entry(f"r{n:02d}", TURNS, duration=3725, probability=0.5 + n / 25) for n in range(10)]
    return [*made[::-1], recording_entry("given", [Turn("a", "speaker1", 0, 4, 0.8)]), recording_entry("mute", [])]


def test_the_least_sure_come_first():
    _, head, rows, _ = talk_table(entries())
    assert list(head) == ["Recording", "Duration", "Speakers", "Number sure", "Turns sure", "Talk time"]
    assert [row[0] for row in rows] == [*(f"r{n:02d}" for n in range(8)), "given", "r08", "r09", "mute"]
    assert rows[0] == ["r00", "1:02:05", "2", "50%", "86%", "speaker2 0:10 (67%), speaker1 0:05 (33%)"]
    assert rows[-1] == ["mute", "-", "0", "-", "-", "no speech"]


def test_of_many_the_first_are_shown():
    lines = as_text([talk_table(entries(), file=Path("exp/x/best/result.json"))], 3).splitlines()
    assert lines[-1] == "and 9 more (exp/x/best/result.json)"
    assert len(lines) == 2 + 3 + 1
    assert "more" not in as_text([talk_table(entries()[:3], file=Path("result.json"))], 3)
    assert len(as_text([talk_table(entries())], 3).splitlines()) == 2 + 12, "in no file, so all of them"


def test_a_column_of_which_nothing_is_known_is_left_out():
    _, head, rows, _ = talk_table([recording_entry("a", [Turn("a", f"s{n}", n, n + 1) for n in range(6)])])
    assert head == ["Recording", "Speakers", "Talk time"]
    assert rows[0][2].endswith("s3 0:01 (17%), and 2 more")


def test_tables_with_the_same_columns_have_the_same_widths():
    first = Table("one", ["System", "DER %"], [["a", "1.00"]])
    second = Table("two", ["System", "DER %"], [["longer", "22.00"]])
    assert as_text([first, second]).splitlines() == [
        "one",
        "System  DER %",
        "------  -----",
        "a        1.00",
        "",
        "two",
        "System  DER %",
        "------  -----",
        "longer  22.00",
    ]


def test_markdown():
    text = as_markdown([Table("one", ["System", "DER %"], [["a|b", "1.00"]])], "Title")
    head = ["# Title", "", "## one", "", "| System | DER % |", "| --- | ---: |"]
    assert text.splitlines() == [*head, r"| a\|b | 1.00 |"]
