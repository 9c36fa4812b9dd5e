"""local/simulate_calls.py through its command line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from running import run_script

from ssdiar.io.rttm import read_rttm

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "local" / "simulate_calls.py"


def run(*args, cwd):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, args)], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """Three voices in three formats, in a folder whose name is awkward; one file is broken."""
    folder = tmp_path_factory.mktemp("in") / "vóices of all"
    kinds = {"ann": ("wav", 16000, {}), "bob": ("flac", 44100, {}), "cho": ("gsm", 8000, {"subtype": "GSM610"})}
    for number, (name, (suffix, rate, kind)) in enumerate(kinds.items()):
        (folder / name / "sub").mkdir(parents=True)
        rng = np.random.default_rng(number)
        for prompt in range(12):
            time = np.arange(round(rng.uniform(0.4, 4) * rate)) / rate
            tone = sum(np.sin(2 * np.pi * (110 + 60 * number) * k * time) / k for k in range(1, 16)) * 0.1
            sound = np.concatenate([tone, np.zeros(rate // 3)]) + 1e-4 * rng.standard_normal(len(time) + rate // 3)
            with open(folder / name / "sub" / f"{prompt}.{suffix}", "wb") as stream:
                soundfile.write(stream, sound, rate, format="RAW" if suffix == "gsm" else suffix, **kind)
    (folder / "ann" / "broken.wav").write_bytes(b"RIFF")
    return folder


def content(folder):
    files = {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    files.pop(Path("wav.scp"))
    return files


def test_makes_a_data_directory(voices, tmp_path):
    result = run("--num-calls", 3, "--duration", 20, "--min-speech", 10, voices, "out dir", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "broken.wav" in result.stderr and "skipped" in result.stderr
    out = tmp_path / "out dir"
    names = ["sim-0001", "sim-0002", "sim-0003"]
    assert (out / "wav.scp").read_text() == "".join(f"{name} {out}/wav/{name}.flac\n" for name in names)
    assert (out / "reco2num_spk").read_text() == "".join(f"{name} 2\n" for name in names)
    assert (out / "reco2dur").read_text() == "".join(f"{name} 20.000\n" for name in names)
    assert (out / "all.uem").read_text() == "".join(f"{name} 1 0.000 20.000\n" for name in names)
    turns = read_rttm(out / "ref.rttm")
    assert {turn.reco for turn in turns} == set(names) and {turn.speaker for turn in turns} == {"ann", "bob", "cho"}
    info = soundfile.info(out / "wav" / "sim-0001.flac")
    assert (info.samplerate, info.channels, info.frames) == (8000, 1, 160000)
    validate = ROOT / "utils" / "validate_data_dir.sh"
    checked = subprocess.run(
        [validate, "--no-feats", "--no-text", out],
        capture_output=True,
        text=True,
        env={**ENV, "PYTHON": sys.executable},
    )
    assert checked.returncode == 0, checked.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out dir"]


def test_a_channel_per_party_is_taken_as_such(voices, tmp_path):
    """What is made is recognised: stage 1 takes such files apart, and stage 2 hears a side each."""
    options = ("--num-calls", 2, "--duration", 20, "--min-speech", 10, "--channels", "parties", "--leakage", 0.1)
    result = run(*options, voices, "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out/reco2parties").read_text() == "sim-0001 1 2\nsim-0002 1 2\n"
    run_script(ROOT / "local/prepare_audio.sh", "--set", "found", "out/wav", cwd=tmp_path)
    assert (tmp_path / "data/found/reco2parties").read_text() == (tmp_path / "out/reco2parties").read_text()
    for data in ("out", "data/found"):
        run_script(ROOT / "steps/diar/detect_speech.sh", data, f"{data}_speech", cwd=tmp_path)
    assert (tmp_path / "out_speech/segments").read_text() == (tmp_path / "data/found_speech/segments").read_text()
    sides = [f"sim-000{number}.channel{channel}" for number in (1, 2) for channel in (1, 2)]
    rows = [line.split() for line in (tmp_path / "out_speech/segments").read_text().splitlines()]
    assert sorted({row[1] for row in rows}) == sides
    assert (tmp_path / "out_speech/side2reco").read_text() == "".join(f"{side} {side[:8]}\n" for side in sides)
    refused = run("--leakage", 0.1, voices, "more", cwd=tmp_path)
    assert refused.returncode == 1 and "--leakage goes with --channels parties" in refused.stderr


ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def test_one_seed_is_one_corpus_and_calls_do_not_depend_on_their_number(voices, tmp_path):
    made = {}
    for name, seed, calls in (("a", 7, 2), ("again", 7, 2), ("more", 7, 3)):
        options = ("--duration", 6, "--min-speech", 10, "--seed", seed, "--num-calls", calls)
        result = run(*options, voices, name, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        made[name] = content(tmp_path / name)
    assert made["a"] == made["again"]
    audio = [name for name in made["a"] if name.suffix == ".flac"]
    assert len(audio) == 2 and all(made["a"][name] == made["more"][name] for name in audio)


def test_pairs_from_a_file(voices, tmp_path):
    (tmp_path / "pairs").write_text("k bob ann\nl cho\n")
    options = ("--num-calls", 3, "--duration", 20, "--pairs", "pairs", "--min-speech", 10, "--codec", "gsm")
    result = run(*options, "--prefix", "r", voices, "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    speakers: dict[str, set[str]] = {}
    for turn in read_rttm(tmp_path / "out" / "ref.rttm"):
        speakers.setdefault(turn.reco, set()).add(turn.speaker)
    assert speakers == {"r-0001": {"ann", "bob"}, "r-0002": {"cho"}, "r-0003": {"ann", "bob"}}


def test_numbers_and_lengths_are_drawn_per_recording(voices, tmp_path):
    options = ("--num-spk", "1-3", "--duration", "8-12", "--same-person", "ann,eve", "--min-speech", 10)
    (tmp_path / "v").mkdir()
    for name in ("ann", "bob", "cho"):
        (tmp_path / "v" / name).symlink_to(voices / name)
    (tmp_path / "v" / "eve").symlink_to(voices / "cho")
    result = run(*options, "--num-calls", 12, tmp_path / "v", "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    counts = [line.split()[1] for line in (tmp_path / "out" / "reco2num_spk").read_text().splitlines()]
    assert len(counts) == 12 and set(counts) == {"1", "2", "3"}
    lengths = [float(line.split()[1]) for line in (tmp_path / "out" / "reco2dur").read_text().splitlines()]
    assert all(8 <= length <= 12 for length in lengths) and len(set(lengths)) > 3
    speakers: dict[str, set[str]] = {}
    for turn in read_rttm(tmp_path / "out" / "ref.rttm"):
        speakers.setdefault(turn.reco, set()).add(turn.speaker)
    assert not any({"ann", "eve"} <= names for names in speakers.values())
    one = run(*options, "--num-calls", 1, "--num-spk", counts[0], tmp_path / "v", "one", cwd=tmp_path)
    assert one.returncode == 0, one.stderr


def test_a_voice_that_runs_out_ends_the_recording_or_repeats(voices, tmp_path):
    options = ("--num-calls", 1, "--duration", 120, "--min-speech", 5, "--max-speech", 8)
    ended = run(*options, voices, "ended", cwd=tmp_path)
    assert ended.returncode == 0 and "so the recording ends after" in ended.stderr
    assert float((tmp_path / "ended" / "reco2dur").read_text().split()[1]) < 60
    again = run(*options, "--repeat", "true", voices, "again", cwd=tmp_path)
    assert again.returncode == 0 and "repeats itself after" in again.stderr
    assert (tmp_path / "again" / "reco2dur").read_text() == "sim-0001 120.000\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["VOICES"], "expected <voices-dir> <out-data-dir>, got 1 arguments"),
        (["--num-calls", "0", "VOICES", "out"], "--num-calls: expected a whole number from 1, got"),
        (["--prefix", "a b", "VOICES", "out"], "bad id"),
        (["--num", "1", "VOICES", "out"], "unknown option --num"),
        (["missing", "out"], "missing: no such folder"),
        (["VOICES/ann", "out"], "too few voices; expected at least 2 sub-folders"),
        (["--num-spk", "1-4", "VOICES", "out"], "too few voices; expected at least 4 sub-folders"),
        (["--num-spk", "3", "--same-person", "ann,cho", "VOICES", "out"], "too few voices"),
        (["--num-spk", "3-1", "VOICES", "out"], "expected the smaller number first, got 3-1"),
        (["--num-spk", "2", "--pairs", "pairs", "VOICES", "out"], "--pairs lists the speakers"),
        (["--same-person", "ann,eve", "VOICES", "out"], "unknown voice; expected one of ann, bob, cho, got eve"),
        (["--duration", "20-x", "VOICES", "out"], "--duration: expected a number from 5 to 36000, got"),
        (["--min-speech", "9999", "VOICES", "out"], "voice ann has too little speech; expected at least 9999 s, got"),
        (["--pairs", "pairs", "VOICES", "out"], "pairs:2: unknown voice; expected one of ann, bob, cho, got eve"),
        (["--pairs", "self", "VOICES", "out"], "self:1: the same voice twice"),
        (["VOICES", "full"], "full: exists and is no data directory"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(voices, tmp_path, args, message):
    (tmp_path / "pairs").write_text("1 ann bob\n2 ann eve\n")
    (tmp_path / "self").write_text("1 ann ann\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    before = sorted(tmp_path.rglob("*"))
    result = run("--verbose", 0, *(arg.replace("VOICES", str(voices)) for arg in args), cwd=tmp_path)
    assert result.returncode in (1, 2)
    errors = [line for line in result.stderr.splitlines() if "WARNING" not in line and "VOICES" not in line]
    assert message in errors[0] and errors[0].startswith("simulate_calls.py: error: ")
    assert "Traceback" not in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_empty_voice_folder_is_named(voices, tmp_path):
    (tmp_path / "v" / "empty").mkdir(parents=True)
    (tmp_path / "v" / "ann").symlink_to(voices / "ann")
    result = run("--min-speech", 10, tmp_path / "v", "out", cwd=tmp_path)
    assert result.returncode == 1 and "voice empty has no audio files" in result.stderr


def test_output_is_replaced_only_when_told(voices, tmp_path):
    options = ("--duration", 6, "--num-calls", 1, "--min-speech", 10)
    assert run(*options, voices, "out", cwd=tmp_path).returncode == 0
    before = content(tmp_path / "out")
    refused = run(*options, "--seed", 1, voices, "out", cwd=tmp_path)
    assert refused.returncode == 1 and "out: exists already" in refused.stderr
    assert content(tmp_path / "out") == before
    assert run(*options, "--seed", 1, "--overwrite", "true", voices, "out", cwd=tmp_path).returncode == 0
    assert content(tmp_path / "out") != before


def test_help_is_on_stdout(tmp_path):
    result = run("--help", cwd=tmp_path)
    assert result.returncode == 0 and "--same-person" in result.stdout and result.stderr == ""
