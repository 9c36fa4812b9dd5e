"""detect_speech.sh as users call it: regions, what a rerun does again, odd recordings, bad input."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from running import DIAR, run_script

from ssdiar.io.segmentation import read_segmentation


def buzz(rate, *regions, seconds=8.0):
    """A voice-like buzz in the regions given (seconds), faint noise elsewhere."""
    time = np.arange(int(seconds * rate)) / rate
    sound = sum(np.sin(2 * np.pi * 120 * k * time) / k**0.5 for k in range(1, 20)) * (0.6 + 0.4 * np.sin(25 * time))
    active = sum(((time >= start) & (time < end)).astype(float) for start, end in regions)
    return 0.05 * sound * active + np.random.default_rng(0).normal(0, 1e-4, len(time))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Three recordings of 8 s: 8 kHz; 48 kHz with a voice per channel; 16 kHz and silent."""
    folder = tmp_path_factory.mktemp("sounds")
    soundfile.write(folder / "a b.wav", buzz(8000, (1, 3), (5, 7)), 8000)
    two = np.column_stack([buzz(48000, (2, 4)), buzz(48000, (6, 7))])
    soundfile.write(folder / "ö.flac", two, 48000)
    soundfile.write(folder / "quiet.wav", np.zeros(8 * 16000), 16000)
    return folder


@pytest.fixture
def work(tmp_path, sounds):
    """A data directory of the three recordings, and a reference of the first two."""
    root = tmp_path / "discorso è qui"
    shutil.copytree(sounds, root)
    data = root / "my data"
    data.mkdir()
    (data / "wav.scp").write_text(f"a {root}/a b.wav\nb cat '{root}/ö.flac' |\nq {root}/quiet.wav\n")
    turns = [("a", "A", 1.0, 2.0), ("a", "B", 2.5, 0.604), ("a", "B", 5.0, 2.0), ("b", "A", 2.0, 2.0)]
    lines = [f"SPEAKER {r} 1 {start} {length} <NA> <NA> {s} <NA> <NA>\n" for r, s, start, length in turns]
    (data / "ref.rttm").write_text("".join(lines))
    return root


def run(work, *args, rc=0, script=DIAR / "detect_speech.sh", **env):
    return run_script(script, "--allow-commands", "true", *args, cwd=work, rc=rc, **env)


def regions(work, name="segments", out="out"):
    rows = [line.split() for line in (work / out / name).read_text().splitlines()]
    assert all(key == f"{r}-{round(100 * float(s)):07d}-{round(100 * float(e)):07d}" for key, r, s, e in rows)
    return [(r, float(s), float(e)) for _, r, s, e in rows]


def stamps(work, out="out"):
    return {path.name: path.stat().st_mtime_ns for path in (work / out).glob("[!.]*") if path.is_file()}


def test_webrtc(work):
    log = run(work, "--sad", "webrtc", "--nj", "2", "my data", "out").stderr
    assert "WARNING: no speech in 1 of 3 recordings: q" in log
    assert "webrtc finds no overlap" in log
    found = regions(work)
    wanted = [("a", 1, 3), ("a", 5, 7), ("b", 2, 4), ("b", 6, 7)]
    assert [reco for reco, *_ in found] == [reco for reco, *_ in wanted]
    assert np.abs(np.array([r[1:] for r in found]) - np.array([r[1:] for r in wanted])).max() < 0.45
    assert regions(work, "overlap.segments") == []
    assert (work / "out/wav.scp").read_text() == (work / "my data/wav.scp").read_text()
    assert (work / "out/reco2dur").read_text() == "a 8.0000\nb 8.0000\nq 8.0000\n"
    assert (work / "out/spk2utt").read_text().splitlines()[0].split()[0] == "a"
    meta = json.loads((work / "out/meta.json").read_text())
    assert meta["speech_source"] == "webrtc"
    assert (meta["options"]["sad"]["gap"], meta["options"]["sad"]["aggressiveness"]) == (0.8, 2)
    assert (meta["second_speaker"], meta["close_pauses"]) == (False, 0.0)


def test_result_does_not_depend_on_nj_or_on_the_link_to_the_scripts(work):
    run(work, "--nj", "1", "my data", "one")
    (work / "diar").symlink_to(DIAR)
    run(work, "--nj", "9", "my data", "nine", script=work / "diar/detect_speech.sh")
    for name in ("segments", "utt2spk", "spk2utt", "wav.scp", "reco2dur", "meta.json"):
        assert (work / "one" / name).read_bytes() == (work / "nine" / name).read_bytes()


def test_a_second_run_does_nothing_and_a_third_only_what_changed(work):
    run(work, "my data", "out")
    before = stamps(work)
    assert "detect_speech.sh: nothing to do: all 3 recordings are done" in run(work, "my data", "out").stderr
    assert stamps(work) == before
    soundfile.write(work / "quiet.wav", buzz(16000, (3, 4)), 16000)
    run(work, "--nj", "1", "my data", "out")
    assert regions(work)[-1][0] == "q"
    assert "q: " in (work / "out/log/detect_speech.1.log").read_text()
    assert "a: " not in (work / "out/log/detect_speech.1.log").read_text()
    run(work, "--overwrite", "true", "--nj", "1", "my data", "out")
    assert "a: " in (work / "out/log/detect_speech.1.log").read_text()


def test_another_option_makes_all_stale(work):
    run(work, "--sad", "oracle", "my data", "out")
    run(work, "--nj", "1", "--sad", "oracle", "--overlap", "keep", "my data", "out")
    assert "a: " in (work / "out/log/detect_speech.1.log").read_text()


def test_a_recording_that_is_gone_from_the_input_is_gone_from_the_output(work):
    run(work, "--sad", "oracle", "my data", "out")
    (work / "my data/wav.scp").write_text(f"b cat '{work}/ö.flac' |\n")
    log = run(work, "--sad", "oracle", "my data", "out").stderr
    assert "WARNING: my data/ref.rttm: 1 recordings are not in wav.scp, e.g. a" in log
    assert regions(work) == [("b", 2.0, 4.0)]
    assert os.listdir(work / "out/regions") == ["b.json"]


def test_oracle_with_overlap_apart_or_kept(work):
    run(work, "--sad", "oracle", "my data", "out")
    assert regions(work) == [("a", 1.0, 2.5), ("a", 3.0, 3.1), ("a", 5.0, 7.0), ("b", 2.0, 4.0)]
    assert regions(work, "overlap.segments") == [("a", 2.5, 3.0)]
    meta = json.loads((work / "out/meta.json").read_text())
    assert (meta["speech_source"], meta["sad_weights"]) == ("oracle (ref.rttm)", [])
    assert (meta["options"]["sad"], meta["options"]["overlap"]) == (None, "drop")
    run(work, "--sad", "oracle", "--overlap", "keep", "my data", "out")
    assert regions(work) == [("a", 1.0, 3.1), ("a", 5.0, 7.0), ("b", 2.0, 4.0)]
    assert regions(work, "overlap.segments") == []


def test_a_changed_reference_is_noticed(work):
    run(work, "--sad", "oracle", "my data", "out")
    (work / "my data/ref.rttm").write_text("SPEAKER a 1 7 5 <NA> <NA> A <NA> <NA>\n")
    run(work, "--sad", "oracle", "my data", "out")
    assert regions(work) == [("a", 7.0, 8.0)]


def test_given_segments_serve_without_a_reference(work):
    (work / "my data/ref.rttm").unlink()
    (work / "my data/segments").write_text("x b 1.001 2\ny b 1.5 2.5\n")
    run(work, "--sad", "oracle", "my data", "out")
    assert regions(work) == [("b", 1.0, 2.5)]
    assert json.loads((work / "out/meta.json").read_text())["speech_source"] == "oracle (segments)"


def test_channel_of_the_data_directory_counts(work):
    (work / "my data/reco2channel").write_text("b 2\n")
    run(work, "--sad", "webrtc", "my data", "out")
    assert [r for r in regions(work) if r[0] == "b"] == [("b", pytest.approx(6, abs=0.4), pytest.approx(7, abs=0.4))]
    assert (work / "out/reco2channel").read_text() == "b 2\n"
    (work / "my data/reco2channel").unlink()
    run(work, "--sad", "webrtc", "my data", "out")
    assert not (work / "out/reco2channel").exists()
    assert len([r for r in regions(work) if r[0] == "b"]) == 2


def test_config_file_and_command_line(work):
    (work / "sad.conf").write_text("sad=oracle\noverlap=keep  # both\n")
    run(work, "--config", "sad.conf", "--overlap", "drop", "my data", "out")
    meta = json.loads((work / "out/meta.json").read_text())
    assert (meta["speech_source"], meta["options"]["overlap"]) == ("oracle (ref.rttm)", "drop")


def test_a_detectors_own_file(work):
    text = (DIAR.parents[1] / "conf/sad/webrtc.yaml").read_text()
    (work / "né.yaml").write_text(text.replace("pad: 0.2", "pad: 3"))
    run(work, "--sad", "né.yaml+min_speech=0.2", "my data", "out")
    assert [(reco, end - start) for reco, start, end in regions(work)] == [("a", 8), ("b", 8)]
    meta = json.loads((work / "out/meta.json").read_text())
    assert (meta["speech_source"], meta["options"]["sad"]["min_speech"]) == ("né", 0.2)


def test_pyannote_with_its_segmentation_kept(work):
    options = ("--sad", "pyannote+step=5")
    run(work, *options, "--overlap", "label", "--nj", "1", "my data", "out")
    assert {reco for reco, *_ in regions(work)} == {"a", "b"}
    assert sorted(os.listdir(work / "out/segmentation")) == ["a.npz", "b.npz", "q.npz"]
    assert read_segmentation(work / "out/segmentation/a.npz").probabilities.shape == (1, 471, 7)
    assert json.loads((work / "out/meta.json").read_text())["second_speaker"] is True
    # What label and drop cut out is the same.
    assert "nothing to do" in run(work, *options, "my data", "out").stderr
    assert json.loads((work / "out/meta.json").read_text())["second_speaker"] is False
    run(work, "--sad", "oracle", "my data", "out")
    assert not (work / "out/segmentation").exists()


def test_what_the_network_said_before_is_not_asked_again(work):
    options = ("--sad", "pyannote+step=5", "--nj", "1")
    run(work, *options, "--changes", "cut", "my data", "anew")
    run(work, *options, "my data", "heard")
    cut = (*options, "--changes", "cut", "--segmentation-from")
    run(work, *cut, "heard", "my data", "out")
    for name in ("segments", "meta.json", "segmentation/a.npz", "segmentation/b.npz"):
        assert (work / "out" / name).read_bytes() == (work / "anew" / name).read_bytes()
    run(work, "--sad", "pyannote", "--nj", "1", "--segmentation-from", "heard", "my data", "out")
    assert json.loads((work / "out/meta.json").read_text())["options"]["sad"]["step"] == 2.5
    shutil.copy(work / "heard/segmentation/b.npz", work / "heard/segmentation/a.npz")
    assert "heard/segmentation/a.npz: damaged" in run(work, *cut, "heard", "my data", "out", rc=1).stderr


def test_changes_need_a_network(work):
    message = run(work, "--sad", "oracle", "--changes", "cut", "my data", "out", rc=1).stderr
    assert "finds no changes for --changes cut" in message and "webrtc+network=pyannote" in message
    run(work, "--sad", "pyannote", "--changes", "cut", "--nj", "1", "my data", "out")
    assert sorted(os.listdir(work / "out/segmentation")) == ["a.npz", "b.npz", "q.npz"]
    meta = json.loads((work / "out/meta.json").read_text())
    assert (meta["options"]["sad"]["cut"], meta["close_pauses"]) == ({"gap": 0.3, "pad": 0.1}, 0.8)


def test_silero_and_overlap_of_the_network(work):
    text = (DIAR.parents[1] / "conf/sad/pyannote.yaml").read_text()
    for name, value in (("overlap_min", "0"), ("overlap_threshold", "0.001")):
        text, found = re.subn(rf"^{name}: \S+", f"{name}: {value}", text, flags=re.MULTILINE)
        assert found == 1
    (work / "all.yaml").write_text(text)
    run(work, "--sad", "silero+onset=0+offset=0+gap=9+network=all.yaml", "--nj", "1", "my data", "out")
    speech, overlap = regions(work), regions(work, "overlap.segments")
    assert overlap
    assert sum(end - start for _, start, end in speech + overlap) == pytest.approx(24)
    assert (work / "out/segmentation/b.npz").exists()
    meta = json.loads((work / "out/meta.json").read_text())
    assert meta["speech_source"] == "silero"
    assert [meta["options"]["sad"][name] for name in ("detector", "gap", "onset")] == ["silero", 9.0, 0.0]
    assert meta["options"]["network"]["overlap_threshold"] == 0.001
    assert [len(digest) for digest in meta["sad_weights"]] == [64, 64]


def test_speech_of_a_file(work):
    (work / "vad segments").write_text("x b 1.001 2\ny b 1.5 2.5\n")
    run(work, "--sad", "vad segments", "my data", "out")
    assert regions(work) == [("b", 1.0, 2.5)]
    meta = json.loads((work / "out/meta.json").read_text())
    assert (meta["speech_source"], meta["options"]["sad"]) == ("given (vad segments)", None)
    shutil.copy(work / "my data/ref.rttm", work / "others.rttm")
    run(work, "--sad", "./others.rttm", "--overlap", "label", "my data", "out")
    assert regions(work, "overlap.segments") == [("a", 2.5, 3.0)]


def test_planning_loads_no_torch(work):
    code = (
        "import runpy, sys; sys.argv[0] = sys.argv[1]; del sys.argv[1]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 1\n"
        "assert 'torch' not in sys.modules"
    )
    script = str(DIAR / "detect_speech.py")
    options = ["--sad", "pyannote", "--allow-commands", "true", "--cmd", "true"]
    command = [sys.executable, "-c", code, script, *options, "my data", "out"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=300, env=path_to(DIAR))
    assert "Traceback" not in done.stderr and "3 recordings are not done" in done.stderr


def path_to(folder):
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.parametrize(
    ("file", "text", "options", "message"),
    [
        ("wav.scp", "a /none.wav\n", [], "my data/wav.scp:1: no such file for recording a; got /none.wav"),
        ("wav.scp", "a ./text.wav\n", [], "text.wav: cannot be decoded as audio"),
        ("wav.scp", "", [], "my data/wav.scp: no recordings"),
        ("wav.scp", "a\n", [], "my data/wav.scp:1: wrong number of fields"),
        (
            "reco2dur",
            "a 3\nb 8\nq 8\n",
            [],
            "not as long as reco2dur states; expected 3.000 s, got 8.000 s",
        ),
        ("reco2channel", "a 2\n", [], "reco2channel: no such channel of recording a; expected 1 to 1, got 2"),
        ("reco2parties", "a 1 2\n", [], "reco2parties: no such channel of recording a; expected 1 to 1, got 2"),
        (
            "wav.scp",
            "x ö.flac\nx.channel2 a b.wav\n",
            [],
            "wav.scp: recording x.channel2 has the name of a party of x",
        ),
        ("ref.rttm", "SPEAKER a 1 0 nan\n", ["--sad", "oracle"], "ref.rttm:1: wrong number of fields"),
        ("ref.rttm", "", ["--sad", "oracle"], "ref.rttm: no speech of any recording of wav.scp"),
        (
            None,
            "",
            ["--sad", "magic"],
            "magic.yaml: no such file; expected one of that folder (pyannote silero webrtc)",
        ),
        (None, "", ["--sad", "webrtc", "--overlap", "label"], "finds no overlap for --overlap label"),
        (None, "", ["--sad", "webrtc+frame=15"], "webrtc.yaml: frame: Invalid enum value 15"),
        (None, "", ["--sad", "webrtc+onset=0.3"], "unknown field `onset`"),
        (None, "", ["--sad", "webrtc+gap"], "gap.yaml: no such file"),
        (None, "", ["--sad", "pyannote+source=/no/where"], "/no/where: no such file or folder"),
        ("vad", "x a 3 2\n", ["--sad", "my data/vad"], "my data/vad:1: segment x has no length"),
        ("vad.rttm", "hello\n", ["--sad", "my data/vad.rttm"], "my data/vad.rttm:1: not an RTTM line"),
        (None, "", ["--sad", "none.yaml"], "none.yaml: no such file"),
        (None, "", ["--overwrite", "yes"], "expected true or false"),
        (None, "", ["--nj", "0"], "--nj: expected a whole number from 1, got 0"),
        (None, "", ["--sda", "webrtc"], "unknown option --sda"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(work, file, text, options, message):
    (work / "text.wav").write_text("hello")
    (work / "cut.wav").write_bytes((work / "a b.wav").read_bytes()[:5000])
    if file:
        (work / "my data" / file).write_text(text)
    if "channel2" in text:
        (work / "my data/reco2parties").write_text("x 1 2\n")
    lines = run(work, *options, "my data", "out", rc=1).stderr.splitlines()
    errors = [line for line in lines if ": error: " in line]
    assert len(errors) == 1
    assert message in errors[0]
    assert not (work / "out").exists()


def test_output_in_the_way_or_the_same_as_the_input(work):
    (work / "file").write_text("")
    assert "in the way" in run(work, "my data", "file", rc=1).stderr
    assert "input and output at once" in run(work, "my data", "./my data/", rc=1).stderr


def test_a_failing_command_fails_its_job_and_the_rest_is_kept(work):
    scp = work / "my data/wav.scp"
    good = scp.read_text()
    scp.write_text(good.replace("cat ", "echo tape torn >&2; false "))
    message = run(work, "--nj", "1", "my data", "out", rc=1).stderr
    assert "command failed with exit code 1; got tape torn" in message
    assert not (work / "out/segments").exists()
    scp.write_text(good)
    run(work, "--nj", "1", "my data", "out")
    assert "a: " not in (work / "out/log/detect_speech.1.log").read_text()
    assert {reco for reco, *_ in regions(work)} == {"a", "b"}
