"""export_rttm.sh as users call it: of a system's folder and of any RTTM, and what it refuses."""

import json

import pytest
from running import DIAR, run_script

from ssdiar.results import recording_entry, result_content, result_text


def export(cwd, *args, rc=0):
    return run_script(DIAR / "export_rttm.sh", *args, cwd=cwd, rc=rc)


@pytest.fixture
def work(tmp_path):
    system = tmp_path / "mit Lücke" / "ahc"
    system.mkdir(parents=True)
    (system / "rttm").write_text(
        "SPEAKER r1 1 0.5 1.25 <NA> <NA> 1 <NA> <NA>\nSPEAKER r2 1 3 1 <NA> <NA> Zoë 0.9 <NA>\n"
    )
    (system.parent / "reco2dur").write_text("r1 10\nr2 20\n")
    return system.parent


def test_folder_of_a_system(work):
    export(work, "--reco2dur", "reco2dur", "ahc")
    names = sorted(path.name for path in (work / "ahc/export").iterdir())
    each = [f"{reco}.{ending}" for reco in ("r1", "r2") for ending in ("TextGrid", "json", "rttm", "srt", "txt", "vtt")]
    assert names == [*each, "turns.csv"]
    assert (work / "ahc/export/r1.txt").read_text() == "0.500\t1.750\t1\n"
    assert (work / "ahc/export/turns.csv").read_text().splitlines()[1:] == [
        "r1,1,0.500,1.250,1.750,1,",
        "r2,1,3.000,1.000,4.000,Zoë,0.900",
    ]
    assert "xmax = 20.000" in (work / "ahc/export/r2.TextGrid").read_text()


def test_lengths_are_those_of_the_result(work):
    entry = recording_entry("r2", [], duration=30)
    (work / "ahc/result.json").write_text(result_text(result_content({}, [entry])))
    export(work, "--formats", "json", "ahc")
    durations = [json.loads((work / f"ahc/export/{reco}.json").read_text())["duration"] for reco in ("r1", "r2")]
    assert durations == [None, 30]
    export(work, "--formats", "json", "--reco2dur", "reco2dur", "ahc")
    assert json.loads((work / "ahc/export/r2.json").read_text())["duration"] == 20


def test_a_recording_without_speech_has_its_files(work):
    entries = [recording_entry(reco, [], duration=30) for reco in ("r2", "mute")]
    (work / "ahc/result.json").write_text(result_text(result_content({}, entries)))
    export(work, "ahc")
    files = {path.suffix: path.read_text() for path in (work / "ahc/export").glob("mute.*")}
    assert {files[ending] for ending in (".rttm", ".srt", ".txt")} == {""} and files[".vtt"] == "WEBVTT\n"
    assert "xmax = 30.000" in files[".TextGrid"] and "size = 0" in files[".TextGrid"]
    entry = json.loads(files[".json"])
    assert (entry["recording"], entry["duration"], entry["turns"]) == ("mute", 30, [])
    (work / "ahc/rttm").write_text("")
    export(work, "--formats", "csv srt", "ahc", "silence")
    assert sorted(path.name for path in (work / "silence").iterdir()) == ["mute.srt", "r2.srt", "turns.csv"]


def test_chosen_formats_of_a_file(work):
    export(work, "--formats", "vtt", "ahc/rttm", "captions of ahc")
    assert sorted(path.name for path in (work / "captions of ahc").iterdir()) == ["r1.vtt", "r2.vtt"]
    assert "00:00:00.500 --> 00:00:01.750\n<v 1>speaker 1</v>" in (work / "captions of ahc/r1.vtt").read_text()


def test_refusals(work):
    (work / "empty").write_text("")
    assert (
        "expected some of: audacity textgrid csv rttm json srt vtt, got doc"
        in export(work, "--formats", "csv doc", "ahc", rc=1).stderr
    )
    assert "empty: no SPEAKER line" in export(work, "empty", rc=1).stderr
    assert "nothing: no such file" in export(work, "nothing", rc=1).stderr
    assert "expected <rttm-or-system-dir>" in export(work, rc=1).stderr
    assert not (work / "ahc/export").exists()
    assert "Usage:" in export(work, "--help").stdout


@pytest.fixture
def kinds(work):
    """Both kinds of turns of two recordings; rttm has the closed ones, but those of r2 are corrected."""
    for name, rows in (
        ("rttm.closed", "r1 0 4 x,r1 3 2 y,r2 1 3 x"),
        ("rttm.tight", "r1 0 1 x,r1 2 2 x,r1 3.5 1 y,r2 1 2 x"),
        ("rttm", "r1 0 4 x,r1 3 2 y,r2 1 3 Zoë"),
    ):
        cells = [row.split() for row in rows.split(",")]
        lines = [f"SPEAKER {reco} 1 {at} {time} <NA> <NA> {who} <NA> <NA>\n" for reco, at, time, who in cells]
        (work / "ahc" / name).write_text("".join(lines))
    return work


@pytest.mark.parametrize(
    ("kind", "folder", "r1", "shown"),
    [
        (None, "export", ["0.000\t4.000\tx", "3.000\t5.000\ty"], "closed"),
        ("closed", "export_closed", ["0.000\t4.000\tx", "3.000\t5.000\ty"], "closed"),
        ("tight", "export_tight", ["0.000\t1.000\tx", "2.000\t4.000\tx", "3.500\t4.500\ty"], "tight"),
        ("exclusive", "export_exclusive", ["0.000\t4.000\tx", "4.000\t5.000\ty"], "exclusive"),
    ],
)
def test_chosen_kind_of_turns(kinds, kind, folder, r1, shown):
    told = export(kinds, *(("--turns", kind) if kind else ()), "ahc").stderr
    assert (kinds / "ahc" / folder / "r1.txt").read_text().splitlines() == r1
    assert (kinds / "ahc" / folder / "r2.txt").read_text() == "1.000\t4.000\tZoë\n", "corrected by hand"
    assert json.loads((kinds / "ahc" / folder / "r1.json").read_text())["turn_kind"] == shown
    assert ("WARNING" in told and "corrected by hand" in told and "r2" in told) == (kind in ("closed", "tight"))


def test_no_such_kind_of_turns(kinds):
    (kinds / "other.rttm").write_text((kinds / "ahc/rttm").read_text())
    assert "other.rttm: no rttm.tight beside it" in export(kinds, "--turns", "tight", "other.rttm", rc=1).stderr
    assert "--turns: expected closed, tight or exclusive" in export(kinds, "--turns", "wide", "ahc", rc=1).stderr
    assert not (kinds / "export_tight").exists()
