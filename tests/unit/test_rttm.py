"""RTTM and UEM: what is read, what is refused with file and line, and what is written."""

import pytest

from ssdiar.base.errors import InputError
from ssdiar.io.rttm import read_noscore, read_rttm, read_uem, write_rttm
from ssdiar.timeline.spans import Turn

GOOD = "SPEAKER r 1 1.5 2.25 <NA> <NA> A <NA> <NA>"


def write(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_reads_speaker_lines_only(tmp_path):
    path = write(
        tmp_path / "über ref.rttm",
        ";; a comment SPEAKER",
        "SPKR-INFO r 1 <NA> <NA> <NA> unknown A <NA> <NA>",
        "NOSCORE r 1 0 1 <NA> <NA> <NA> <NA>",
        "",
        "SPEAKER r.b-1 A 4 1e0 <NA> <NA> Frau_Müller <NA>\r",
        "SPEAKER r 1 3 0.000 <NA> <NA> A <NA> <NA>",
        GOOD,
    )
    assert read_rttm(path) == [Turn("r.b-1", "Frau_Müller", 4.0, 5.0), Turn("r", "A", 1.5, 3.75)]


def test_noscore_regions_are_read_and_written(tmp_path):
    path = write(tmp_path / "ref.rttm", GOOD, "NOSCORE r 1 2 1.5 <NA> <NA> <NA> <NA>", "NOSCORE r 1 3 2 <NA> <NA>")
    regions = {"r": [(2.0, 3.5), (3.0, 5.0)]}
    assert read_noscore(path) == regions
    write_rttm(tmp_path / "copy", read_rttm(path), regions)
    assert read_noscore(tmp_path / "copy") == regions and read_rttm(tmp_path / "copy") == read_rttm(path)
    with pytest.raises(InputError, match=r"ref.rttm:2: bad duration; .*got long"):
        read_noscore(write(path, GOOD, "NOSCORE r 1 2 long"))


def test_given_speech_needs_no_speaker(tmp_path):
    path = write(tmp_path / "speech.rttm", "SPEAKER r 1 1 2 <NA> <NA> <NA> <NA> <NA>")
    assert read_rttm(path, anonymous=True) == [Turn("r", "<NA>", 1.0, 3.0)]


def test_an_empty_file_has_no_turns(tmp_path):
    assert read_rttm(write(tmp_path / "rttm")) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPEAKER r 1 1.5 2.25 <NA> <NA> A", "wrong number of fields; expected 10 .*, got 8"),
        (f"{GOOD} more", "wrong number of fields; expected 10 .*, got 11"),
        ("SPEAKER r 1 1.5 nan <NA> <NA> A <NA> <NA>", "bad duration; .*got nan"),
        ("SPEAKER r 1 inf 1 <NA> <NA> A <NA> <NA>", "bad start; .*got inf"),
        ("SPEAKER r 1 1.5 -2 <NA> <NA> A <NA> <NA>", "bad duration; .*got -2"),
        ("SPEAKER r 1 -1.5 2 <NA> <NA> A <NA> <NA>", "bad start; .*got -1.5"),
        ("SPEAKER r 1 one 2 <NA> <NA> A <NA> <NA>", "bad start; .*got one"),
        ("SPEAKER ../r 1 1 2 <NA> <NA> A <NA> <NA>", r"bad id; .*got \.\./r"),
        ("SPEAKER r 1 0 10 <NA> <NA>  0.91 <NA>", "the name of the speaker is missing; .*got 0.91"),
        ("SPEAKER r 1 0 10 <NA> <NA> <NA> <NA> <NA>", "the name of the speaker is missing; .*got <NA>"),
        ("r 1.5 2.25 A", "not an RTTM line; expected SPEAKER first, got r"),
    ],
)
def test_refuses_with_file_and_line(tmp_path, line, message):
    path = write(tmp_path / "bad.rttm", GOOD, line)
    with pytest.raises(InputError, match=rf"bad\.rttm:2: {message}"):
        read_rttm(path)


def test_refuses_what_is_no_text(tmp_path):
    (tmp_path / "sound").write_bytes(GOOD.encode() + b"\n\xff\xfe")
    with pytest.raises(InputError, match="sound:2: not UTF-8"):
        read_rttm(tmp_path / "sound")
    with pytest.raises(InputError, match="none: no such file"):
        read_rttm(tmp_path / "none")


def test_writes_ten_fields_in_order_and_touching_turns_touch(tmp_path):
    third = 1 / 3
    turns = [
        Turn("b", "1", 0, 1),
        Turn("a", "2", third, 2 * third),
        Turn("a", "1", 0.0, third),
        Turn("a", "3", 5, 5.0004),
    ]
    path = tmp_path / "rttm"
    assert write_rttm(path, turns)
    assert path.read_text().splitlines() == [
        "SPEAKER a 1 0.000 0.333 <NA> <NA> 1 <NA> <NA>",
        "SPEAKER a 1 0.333 0.334 <NA> <NA> 2 <NA> <NA>",
        "SPEAKER b 1 0.000 1.000 <NA> <NA> 1 <NA> <NA>",
    ]
    assert not write_rttm(path, turns), "an unchanged file is left alone"
    assert [(turn.reco, turn.speaker) for turn in read_rttm(path)] == [("a", "1"), ("a", "2"), ("b", "1")]


def test_uem_is_ordered_and_merged_whatever_its_channel(tmp_path):
    path = write(tmp_path / "uem", ";; comment", "r NA 5 9", "s 1 0 1", "r 1 0 2", "r 1 2 3.5", "r A 6 7")
    assert read_uem(path) == {"r": [(0.0, 3.5), (5.0, 9.0)], "s": [(0.0, 1.0)]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("r 1 5", "wrong number of fields; expected 4"),
        ("r 1 5 5", "region has no length"),
        ("r 1 5 nan", "bad end"),
        ("r 1 -1 5", "bad start"),
        ("r* 1 0 5", "bad id"),
    ],
)
def test_uem_refuses_with_file_and_line(tmp_path, line, message):
    path = write(tmp_path / "bad.uem", "r 1 0 9", line)
    with pytest.raises(InputError, match=rf"bad\.uem:2: {message}"):
        read_uem(path)
