"""make_report.sh as users call it: the table on paper and on the terminal, and what it refuses."""

import base64
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from running import DIAR, run_script

from ssdiar.results import recording_entry, result_content, result_text

UNSCORED = ["-", "-", "-"]


def turn(speaker, start, length):
    return f"SPEAKER r 1 {start} {length} <NA> <NA> {speaker} <NA> <NA>\n"


def call(cwd, script, *args, rc=0):
    return run_script(DIAR / script, *args, cwd=cwd, rc=rc)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Three systems of a set: scored with its origin, scored with the origin in meta.json alone, and not scored."""
    root = tmp_path_factory.mktemp("scored") / "mit Lücke"
    data = root / "data"
    data.mkdir(parents=True)
    (data / "ref.rttm").write_text(turn("A", 0, 6) + turn("B", 6, 4))
    (data / "all.uem").write_text("r 1 0 20\n")
    for name, text in (("best", turn(1, 0, 6) + turn(2, 6, 4)), ("ahc", turn(1, 0, 11)), ("mute", turn(1, 0, 1))):
        folder = root / "exp/mini" / name
        folder.mkdir(parents=True)
        (folder / "rttm").write_text(text)
    origin = {"system": "ahc", "speech_source": "webrtc", "num_spk_source": "estimate", "xvector_model": "speechbrain"}
    (root / "exp/mini/ahc/meta.json").write_text(json.dumps({**origin, "seed": 1}))
    (root / "exp/mini/xvectors_campplus").mkdir()
    options = ("--speech-source", "oracle", "--num-spk-source", "oracle", "--xvector-model", "campplus")
    call(root, "score_der.sh", *options, "data", "exp/mini/best")
    call(root, "score_der.sh", "--protocols", "full", "data", "exp/mini/ahc")
    return root


@pytest.fixture
def work(scored, tmp_path):
    return Path(shutil.copytree(scored, tmp_path / scored.name))


def report(work, *options, rc=0):
    return call(work, "make_report.sh", *options, "exp/mini", "exp/mini/report", rc=rc)


def markdown_rows(work):
    """Return {head of a part: [cells of each row]}."""
    parts = {}
    for line in (work / "exp/mini/report/table.md").read_text().splitlines():
        if line.startswith("## "):
            parts[line[3:]] = rows = []
        elif line.startswith("| ") and not line.startswith(("| System", "| ---")):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return parts


def test_table(work):
    done = report(work)
    parts = markdown_rows(work)
    assert list(parts) == [
        "forgiving: collar 0.25 s each side, overlapped speech ignored; UEM; scorer ssdiar",
        "fair: collar 0.25 s each side, overlapped speech scored; UEM; scorer ssdiar",
        "full: collar 0 s each side, overlapped speech scored; UEM; scorer ssdiar",
    ]
    forgiving, _, full = parts.values()
    assert full == [
        ["ahc", "webrtc", "estimate", "speechbrain", "0.00", "10.00", "40.00", "50.00", "72.73"],
        ["best", "oracle", "oracle", "campplus", "0.00", "0.00", "0.00", "0.00", "0.00"],
        ["mute", *["not recorded"] * 3, *UNSCORED, "no reference", "-"],
    ]
    assert forgiving[0][4:] == [*UNSCORED, "not scored", "-"]
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("full: ")] == [list(parts)[2]]
    own = [line.split() for line in lines if line.startswith(("ahc ", "best "))][-2:]
    assert own == full[:2]
    assert len({len(line) for line in lines if line.startswith(("System", "----", "ahc", "best"))}) == 1, "aligned"


def test_chosen_systems_in_the_order_given(work):
    report(work, "--systems", "mute best")
    assert [row[0] for row in next(iter(markdown_rows(work).values()))] == ["mute", "best"]


def test_without_any_score_it_says_who_spoke(work):
    meta = {"system": "mute", "num_spk_source": "estimated", "turn_kind": "tight"}
    entry = recording_entry("r", [], probability=0.75)
    (work / "exp/mini/mute/result.json").write_text(result_text(result_content(meta, [entry])))
    (work / "data/wav.scp").write_text("".join(f"r{n} r.wav\n" for n in ("", *range(10, 34))))
    (work / "data/r.wav").touch()
    (work / "data/reco2dur").write_text("".join(f"r{n} 20\n" for n in ("", *range(10, 34))))
    (work / "r.wav").write_bytes(wav())
    done = report(work, "--systems", "mute", "--data-dir", "data")
    head = (
        "mute: 25 recordings, 8:20; speech: not recorded; speakers: not recorded; x-vectors: not recorded; turns: tight"
    )
    rows = done.stdout.splitlines()
    assert rows[0] == head and list(markdown_rows(work)) == [head]
    assert rows[3].split() == ["r", "0:20", "1", "75%", "1", "0:01", "(100%)"], "the one whose number is known"
    assert rows[4].split() == ["r10", "0:20", "0", "-", "no", "speech"]
    assert rows[-1] == "and 5 more (exp/mini/mute/result.json)" and len(rows) == 3 + 20 + 1
    assert len(markdown_rows(work)[head]) == 1 + 25
    assert "%" not in rows[1] and "DER" not in done.stdout
    assert "tight turns" in (work / "exp/mini/report/index.html").read_text()


def wav():
    stream = io.BytesIO()
    soundfile.write(stream, np.random.default_rng(0).normal(0, 0.1, 20 * 8000), 8000, format="WAV")
    return stream.getvalue()


def test_scores_of_an_older_rttm_are_not_shown(work):
    (work / "exp/mini/best/rttm").write_text(turn(1, 0, 2))
    done = report(work)
    assert (
        "WARNING: exp/mini/best has a newer rttm, reference or UEM than its scores: fair forgiving full" in done.stderr
    )
    for rows in markdown_rows(work).values():
        assert rows[1][4:] == [*UNSCORED, "out of date", "-"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"protocol": "full"}'])
def test_damaged_score(work, text):
    (work / "exp/mini/best/score/full.json").write_text(text)
    assert "exp/mini/best/score/full.json: not a score file" in report(work, rc=1).stderr
    assert not (work / "exp/mini/report").exists()


def write_data(work, entry):
    """Make r a recording of 20 s of noise, found through ``entry``."""
    samples = 0.1 * np.random.default_rng(0).normal(size=20 * 8000)
    soundfile.write(work / "data/r.flac", samples, 8000)
    soundfile.write(work / "data/r.aiff", samples, 8000)
    (work / "data/wav.scp").write_text(f"r {entry}\n")


@pytest.mark.parametrize(
    ("way", "entry", "url"),
    [
        ("link", "{data}/r.flac", r"\.\./\.\./\.\./data/r\.flac"),
        ("link", "{data}/r.aiff", r"audio/r\.[0-9a-f]{12}\.mp3"),
        ("link", "cat '{data}/r.flac' |", r"audio/r\.[0-9a-f]{12}\.mp3"),
        ("copy", "{data}/r.flac", r"audio/r\.[0-9a-f]{12}\.mp3"),
    ],
)
def test_audio_is_linked_or_copied(work, way, entry, url):
    write_data(work, entry.format(data=work / "data"))
    report(work, "--data-dir", "data", "--systems", "mute", "--allow-commands", "true", "--audio", way)
    page = (work / "exp/mini/report/index.html").read_text()
    link = re.search(r'<audio [^>]*src="([^"]*)"', page)[1]
    assert re.fullmatch(url, link)
    assert soundfile.info(work / "exp/mini/report" / link).duration == pytest.approx(20, abs=0.2)


def test_embedded_audio_and_a_page_that_is_up_to_date(work):
    write_data(work, work / "data/r.flac")
    options = ("--data-dir", "data", "--systems", "mute", "--audio", "embed")
    report(work, *options)
    page = work / "exp/mini/report/index.html"
    sound = base64.b64decode(re.search(r'src="data:audio/mpeg;base64,([^"]*)"', page.read_text())[1])
    assert soundfile.info(io.BytesIO(sound)).duration == pytest.approx(20, abs=0.2)
    assert "index.html is there and up to date" in report(work, *options).stderr
    (work / "exp/mini/mute/rttm").write_text(turn("new", 0, 1))
    assert "wrote exp/mini/report/index.html" in report(work, *options).stderr
    assert '"name": "new"' in page.read_text()


def test_damaged_history(work):
    (work / "exp/mini/mute/history").mkdir()
    (work / "exp/mini/mute/history/r.json").write_text('{"num_spk": "two"}')
    assert "history/r.json: not a history" in report(work, "--systems", "mute", rc=1).stderr
    assert not (work / "exp/mini/report").exists()


def test_bad_arguments(work):
    assert "no system bset; expected one of: ahc best mute" in report(work, "--systems", "bset", rc=1).stderr
    assert "no such folder" in call(work, "make_report.sh", "exp/maxi", "out", rc=1).stderr
    assert "no system; expected folders with an rttm" in call(work, "make_report.sh", "data", "out", rc=1).stderr
    assert "expected <exp-set-dir> <out-dir>" in call(work, "make_report.sh", "exp/mini", rc=1).stderr
    assert "Usage:" in call(work, "make_report.sh", "--help").stdout
