"""Kaldi's tables: what is read, what is refused with file and line, and the order in which they are written."""

import pytest

from ssdiar.base.errors import InputError
from ssdiar.io.rttm import read_rttm, read_uem
from ssdiar.io.tables import (
    read_counts,
    read_durations,
    read_map,
    read_segments,
    read_subsegments,
    read_wav_scp,
    write_segments,
    write_table,
)
from ssdiar.io.transcripts import read_ctm
from ssdiar.timeline.spans import Segment, by_recording

SEGMENTS = "segment recording start end"


@pytest.fixture
def table(tmp_path):
    """Write a table in a folder whose name has a space and an accent."""
    folder = tmp_path / "données ici"
    folder.mkdir()

    def write(text, name="table"):
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder / name

    return write


def test_wav_scp_takes_the_rest_of_the_line(table):
    path = table("b sph2pipe -f wav 'x y.sph' |\n\na.1-x\t/a b/é.wav  \r\n")
    assert read_wav_scp(path) == {"b": "sph2pipe -f wav 'x y.sph' |", "a.1-x": "/a b/é.wav"}


def test_the_last_line_needs_no_line_end(table):
    assert read_map(table("u1 a\nu2 b"), "utterance recording") == {"u1": "a", "u2": "b"}
    assert read_map(table(""), "utterance recording") == {}


def test_counts_and_durations(table):
    assert read_counts(table("a 2\nb 10\n"), "recording number") == {"a": 2, "b": 10}
    assert read_durations(table("a 2\nb 1e1\n")) == {"a": 2.0, "b": 10.0}


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_wav_scp, "a /x y.wav\nb /b.wav\n"),
        (read_segments, "s2 r 1.5 2\ns1 q 0 1\n"),
        (read_durations, "a 2\nb 1\n"),
        (lambda path: read_counts(path, "recording number"), "a 2\nb 1\n"),
        (lambda path: read_map(path, "utterance recording"), "u r\nv r\n"),
        (read_uem, "a 1 0 5\na 1 7 9\n"),
        (read_rttm, "SPEAKER a 1 0 1 <NA> <NA> A <NA> <NA>\nSPEAKER a 1 1 1 <NA> <NA> B <NA> <NA>\n"),
        (read_ctm, "a 1 0 1 yes\na 1 1 1 no\n"),
    ],
)
def test_doubled_lines_are_counted_once_and_told(table, caplog, read, text):
    once = read(table(text, "once"))
    assert not caplog.records
    assert read(table(text + text.replace(" ", "  ", 1) + text[: text.index("\n") + 1], "twice")) == once
    assert [record.getMessage() for record in caplog.records] == [
        f"{table('', 'other').parent / 'twice'}: 3 lines repeat earlier ones and are counted once"
    ]


def test_segments_in_file_order(table):
    path = table("s2 r 1.5 2\ns1 q 0 0.001\n")
    assert read_segments(path) == [Segment("s2", "r", 1.5, 2.0), Segment("s1", "q", 0.0, 0.001)]
    assert read_segments(path)[0].duration == 0.5
    assert len(read_segments(path, {"r", "q"}, {"r": 1.96})) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("s r 0", rf"wrong number of fields; expected 4 \({SEGMENTS}\), got 3"),
        ("s r 0 1 2", "wrong number of fields; expected 4 .*, got 5"),
        ("s r 0 nan", "bad end; expected a finite number of at least 0, got nan"),
        ("s r 0 inf", "bad end; .*got inf"),
        ("s r -1 1", "bad start; .*got -1"),
        ("s r 0 1_0", "bad end; .*got 1_0"),
        ("s r 0 x", "bad end; .*got x"),
        ("s r 1 1", "segment s has no length; expected an end after 1 s, got 1 s"),
        ("s r 2 1", "segment s has no length"),
        ("s x 0 1", "segment s is of an unknown recording; expected one of wav.scp, got x"),
        ("s r 0 10.06", "segment s ends after its recording; expected at most 10.000 s, got 10.06 s"),
        ("first r 2 3", "duplicate id first, first seen in line 1"),
        ("../s r 0 1", r"bad id; .*got \.\./s"),
        ("-s r 0 1", "bad id; .*got -s"),
        ("s*x r 0 1", r"bad id; .*got s\*x"),
        ("é r 0 1", "bad id; .*got é"),
        ("s .r 0 1", r"bad id; .*got \.r"),
        (f"{'s' * 201} r 0 1", "bad id; expected up to 200"),
        (b"s r 0 1\n\xff", "not UTF-8 text"),
    ],
)
def test_segments_refuse_with_file_and_line(table, line, message):
    line = line if isinstance(line, bytes) else f"\n{line}".encode()
    path = table(b"first r 0 10.05\n" + line)
    with pytest.raises(
        InputError, match=f"données ici/table:3: {message}" if b"\xff" in line else f"table:3: {message}"
    ):
        read_segments(path, ["r"], {"r": 10.0})


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "+2", "two", "1e3", "1_0", "9999999999", "²"])
def test_counts_are_whole_numbers_from_1(table, text):
    with pytest.raises(InputError, match="table:2: bad number; expected a whole number from 1, got"):
        read_counts(table(f"a 1\nb {text}\n"), "recording number")


def test_what_is_no_table(tmp_path):
    with pytest.raises(InputError, match="none: no such file"):
        read_map(tmp_path / "none", "a b")
    with pytest.raises(InputError, match="is a folder; expected a text file"):
        read_map(tmp_path, "a b")


def test_written_as_kaldi_sorts_and_unchanged_files_are_left_alone(tmp_path):
    rows = {"b": 1, "B": 2, "a-1": 3, "a1": 4, "a.1": 5, "_": 6}
    assert write_table(tmp_path / "t", rows)
    assert (tmp_path / "t").read_text() == "B 2\n_ 6\na-1 3\na.1 5\na1 4\nb 1\n"
    before = (tmp_path / "t").stat().st_mtime_ns
    assert not write_table(tmp_path / "t", dict(reversed(rows.items())))
    assert (tmp_path / "t").stat().st_mtime_ns == before


def test_segments_round_trip(tmp_path):
    segments = [Segment("r2-b", "r2", 0.7504, 1.5), Segment("r1-b", "r1", 3.0, 4.0), Segment("r1-a", "r1", 0.0, 1.0)]
    write_segments(tmp_path, segments)
    assert (tmp_path / "segments").read_text() == "r1-a r1 0.000 1.000\nr1-b r1 3.000 4.000\nr2-b r2 0.750 1.500\n"
    assert (tmp_path / "utt2spk").read_text() == "r1-a r1\nr1-b r1\nr2-b r2\n"
    assert (tmp_path / "spk2utt").read_text() == "r1 r1-a r1-b\nr2 r2-b\n"
    assert [segment.id for segment in read_segments(tmp_path / "segments")] == ["r1-a", "r1-b", "r2-b"]


def test_grouped_by_recording_in_order_of_time():
    a, b, c = Segment("z", "r", 1.0, 2.0), Segment("y", "r", 1.0, 1.5), Segment("x", "q", 5.0, 6.0)
    assert by_recording([a, b, c]) == {"q": [c], "r": [b, a]}
    assert list(by_recording([a, c])) == ["q", "r"]


def test_regions_of_subsegments_round_trip(tmp_path):
    segments = [Segment("r1-a", "r1", 0.0, 1.0, "x"), Segment("r1-b", "r1", 3.0, 4.0, "y")]
    write_segments(tmp_path, reversed(segments))
    assert (tmp_path / "utt2region").read_text() == "r1-a x\nr1-b y\n"
    assert read_subsegments(tmp_path) == segments
    assert [segment.region for segment in read_segments(tmp_path / "segments")] == [None, None]
    for text, message in (
        ("r1-a x\n", r"utt2region: no region of sub-segment r1-b \(1 of 2"),
        ("r1-a x\nr1-b y\nr1-c y\n", "utt2region: region of an unknown sub-segment .*got r1-c"),
    ):
        (tmp_path / "utt2region").write_text(text)
        with pytest.raises(InputError, match=message):
            read_subsegments(tmp_path)
    write_segments(tmp_path, [Segment("r1-a", "r1", 0.0, 1.0)])
    assert not (tmp_path / "utt2region").exists()
    assert read_subsegments(tmp_path) == [Segment("r1-a", "r1", 0.0, 1.0)]
