"""Exports are read back by the tool's own reader, or a library's, and say what the turns said."""

import csv
import html
import json
from collections import defaultdict

import pytest

from ssdiar.base.errors import InputError
from ssdiar.io.rttm import read_rttm
from ssdiar.results import exports
from ssdiar.timeline.spans import Turn

TURNS = [
    Turn("a", "Zoë", 0.0, 1.25),
    Turn("a", '1"x', 1.0, 2.0004),
    Turn("a", "Zoë", 2.0, 3.5, 0.8751),
    Turn("a", "7", 3000.0, 3661.005),
    Turn("b-2", "a&b<c>", 0.5, 0.75),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "mit Lücke"
    exports.export(TURNS, folder, list(exports.FILE_NAMES), {"a": 4000.0})
    return folder


def of(reco):
    return sorted((round(t.start, 3), round(t.end, 3), t.speaker) for t in TURNS if t.reco == reco)


@pytest.mark.parametrize("reco", ["a", "b-2"])
def test_audacity(folder, reco):
    rows = [line.split("\t") for line in (folder / f"{reco}.txt").read_text().splitlines()]
    assert sorted((float(start), float(end), label) for start, end, label in rows) == of(reco)


def test_csv(folder):
    with open(folder / "turns.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["confidence"] for row in rows] == ["", "", "0.875", "", ""]
    read = defaultdict(list)
    for row in rows:
        assert float(row["start"]) + float(row["duration"]) == pytest.approx(float(row["end"]))
        read[row["recording"]].append((float(row["start"]), float(row["end"]), row["speaker"]))
    assert {reco: sorted(rows) for reco, rows in read.items()} == {"a": of("a"), "b-2": of("b-2")}


@pytest.mark.parametrize(("reco", "end"), [("a", 4000.0), ("b-2", 0.75)])
def test_textgrid_in_praat(folder, reco, end, need_module):
    parselmouth = need_module("parselmouth")
    grid = parselmouth.read(str(folder / f"{reco}.TextGrid"))
    assert grid.xmax == end
    read = []
    for tier in range(1, 1 + parselmouth.praat.call(grid, "Get number of tiers")):
        name = parselmouth.praat.call(grid, "Get tier name", tier)
        for place in range(1, 1 + parselmouth.praat.call(grid, "Get number of intervals", tier)):
            text = parselmouth.praat.call(grid, "Get label of interval", tier, place)
            start = parselmouth.praat.call(grid, "Get starting point", tier, place)
            stop = parselmouth.praat.call(grid, "Get end point", tier, place)
            assert text in ("", name)
            if text:
                read.append((start, stop, text))
    assert sorted(read) == of(reco)


def test_textgrid_intervals_leave_no_gap():
    text = exports.textgrid_text([Turn("a", "1", 1, 2), Turn("a", "1", 2, 3), Turn("a", "1", 2.5, 4)], 5)
    times = [float(line.split("=")[1]) for line in text.splitlines() if line.startswith(" " * 12 + "xm")]
    assert times == [0, 1, 1, 4, 4, 5]


@pytest.mark.parametrize("reco", ["a", "b-2"])
def test_vtt(folder, reco, need_module):
    captions = need_module("webvtt").read(str(folder / f"{reco}.vtt"))
    assert sorted((seconds(c.start), seconds(c.end), html.unescape(c.voice)) for c in captions) == of(reco)
    assert all(html.unescape(c.text).removeprefix("speaker ") == html.unescape(c.voice) for c in captions)


@pytest.mark.parametrize("reco", ["a", "b-2"])
def test_srt(folder, reco, need_module):
    captions = need_module("webvtt").from_srt(str(folder / f"{reco}.srt"))
    assert sorted((seconds(c.start), seconds(c.end), c.raw_text.removeprefix("speaker ")) for c in captions) == of(reco)


@pytest.mark.parametrize("reco", ["a", "b-2"])
def test_rttm(folder, reco):
    read = read_rttm(folder / f"{reco}.rttm")
    assert sorted((round(turn.start, 3), round(turn.end, 3), turn.speaker) for turn in read) == of(reco)
    assert [turn.confidence for turn in read] == ([None, None, 0.875, None] if reco == "a" else [None])


def test_text_of_one_recording(folder):
    own = [turn for turn in TURNS if turn.reco == "a"]
    for name in exports.FILE_NAMES.keys() - {"csv"}:
        written = (folder / exports.FILE_NAMES[name].format(reco="a")).read_text(encoding="utf-8")
        assert exports.text_of(name, own[::-1], 4000.0) == written, name
    assert exports.text_of("csv", own).count("\n") == 1 + len(own)


def test_json(folder):
    read = json.loads((folder / "a.json").read_text(encoding="utf-8"))
    assert sorted((turn["start"], turn["end"], turn["speaker"]) for turn in read["turns"]) == of("a")
    assert [turn.get("confidence") for turn in read["turns"]] == [None, None, 0.875, None]
    assert (read["recording"], read["duration"]) == ("a", 4000)
    assert [(s["name"], s["seconds"], s["share"]) for s in read["speakers"]] == [
        ("7", 661.005, 0.9944),
        ("Zoë", 2.75, 0.0041),
        ('1"x', 1.0, 0.0015),
    ]
    assert json.loads((folder / "b-2.json").read_text(encoding="utf-8"))["duration"] is None


def seconds(clock):
    hours, minutes, rest = clock.split(":")
    return round(3600 * int(hours) + 60 * int(minutes) + float(rest), 3)


def test_no_such_format(tmp_path):
    with pytest.raises(InputError, match="expected some of: audacity textgrid csv rttm json srt vtt, got doc"):
        exports.export(TURNS, tmp_path / "out", ["csv", "doc"])
    assert not (tmp_path / "out").exists()
