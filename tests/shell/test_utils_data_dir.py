"""utils/validate_data_dir.sh."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[2] / "utils"
RECOS = ("a", "b.x", "c_1")


def run(name: str, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [UTILS / name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300)


def validate(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run("validate_data_dir.sh", "--no-feats", "--no-text", *options, folder)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A good directory: three recordings of 20 s with two segments each."""
    folder = tmp_path / "dä ta"
    folder.mkdir()
    utts = [(f"{reco}-{n:07d}", reco, n) for reco in RECOS for n in (0, 5)]
    files = {
        "wav.scp": [f"{reco} sox '/é x/{reco}.sph' -t wav - |" for reco in RECOS],
        "segments": [f"{utt} {reco} {n}.000 {n + 1}.500" for utt, reco, n in utts],
        "utt2spk": [f"{utt} {reco}" for utt, reco, _ in utts],
        "spk2utt": [f"{reco} {reco}-0000000 {reco}-0000005" for reco in RECOS],
        "reco2num_spk": [f"{reco} 2" for reco in RECOS],
        "reco2dur": [f"{reco} 20.0" for reco in RECOS],
        "reco2channel": ["b.x 2", "c_1 1"],  # a is mixed to mono
        "reco2parties": ["a 1 2"],
        "reco2offset": ["a 2.5"],
        "side2reco": ["a call"],
        "ref.rttm": [f"SPEAKER {reco} 1 0.5 3.0 <NA> <NA> A <NA> <NA>" for reco in reversed(RECOS)],
        "all.uem": [f"{reco} 1 0.000 20.000" for reco in RECOS],
    }
    for name, lines in files.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder


def edit(path: Path, old: str, new: str, count: int = 1) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


# ---- validate_data_dir.sh


def test_good_directories_pass(data):
    done = validate(data)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"validate_data_dir.sh: Successfully validated data-directory {data}\n"
    (data / "segments").unlink()
    for name in ("utt2spk", "spk2utt"):
        (data / name).unlink()  # as before speech detection
    assert validate(data).returncode == 0


# name of the file, what is replaced by what, and what the message says after the file's name
BAD = [
    ("utt2spk", "a-0000000 a\n", "a-0000000 a x\n", ":1: wrong number of fields; expected 2"),  # Kaldi's: rc 0
    ("utt2spk", "a-0000000 a\n", "a-0000000 a\na-0000000 a\n", ":2: duplicate id a-0000000"),
    ("utt2spk", "b.x-0000000 b.x\n", "", ""),
    ("utt2spk", "a-0000005 a", "a-0000005 b.x", ":2: utterance a-0000005 does not begin with its speaker"),
    ("spk2utt", "a-0000005", "a-0000006", ":1: row of a disagrees with utt2spk"),
    ("spk2utt", "c_1", "c_2", ":3: ids differ from utt2spk: 1 missing, 1 too many"),
    (
        "segments",
        "5.000 6.500",
        "5.000 20.2",
        ":2: segment a-0000005 ends after its recording; expected at most 20.000 s",
    ),
    ("segments", "5.000 6.500", "5.000 5.000", ":2: segment a-0000005 has no length"),
    ("segments", "5.000 6.500", "nan 6.500", ":2: bad start"),
    ("segments", "5.000 6.500", "5.000", ":2: wrong number of fields; expected 4"),
    ("segments", "a-0000005 a ", "a-0000005 d ", ":2: segment a-0000005 is of an unknown recording"),
    ("segments", "a-0000005 a ", "\na-0000005 a ", ":2: empty line"),
    ("segments", "6.500\n", "6.500\r\n", ":2: carriage return"),
    ("wav.scp", "b.x sox", "d sox", ""),
    ("wav.scp", "b.x sox", " b.x sox", ":2: line begins with a blank"),
    ("wav.scp", "a sox '/é x/a.sph' -t wav - |", "a ~/a.wav", ":1: '~' is not expanded in wav.scp"),
    ("wav.scp", "a sox '/é x/a.sph' -t wav - |", "a", ":1: wrong number of fields"),
    ("wav.scp", "a sox", "a* sox", ":1: bad id"),
    ("reco2dur", "a 20.0", "a 0", ":1: bad seconds; expected more than 0, got 0"),
    ("reco2dur", "a 20.0\n", "", ": ids differ from wav.scp: 1 missing, 0 too many"),
    ("reco2num_spk", "c_1 2", "c_1 0", ":3: bad number; expected a whole number from 1, got 0"),
    ("reco2num_spk", "a 2\nb.x 2\n", "b.x 2\na 2\n", ":2: not sorted: a comes after b.x"),
    ("reco2channel", "b.x 2", "b.x 0", ":1: bad number; expected a whole number from 1, got 0"),
    ("reco2channel", "c_1 1", "d 1", ":2: unknown recording"),
    ("reco2parties", "a 1", "d 1", ":1: unknown recording"),
    ("side2reco", "a call", "a", ":1: wrong number of fields; expected 2"),
    ("reco2offset", "a 2.5", "a x", ":1: bad seconds"),
    ("reco2offset", "a 2.5", "d 2.5", ":1: unknown recording"),
    ("ref.rttm", "SPEAKER a", "SPEAKER d", ":3: unknown recording"),
    ("ref.rttm", "0.5 3.0", "0.5 -3.0", ":1: bad duration"),
    ("all.uem", "a 1", "d 1", ":1: unknown recording"),
    ("all.uem", "a 1 0.000 20.000", "a 0.000 20.000", ":1: wrong number of fields; expected 4"),
]


@pytest.mark.parametrize(("name", "old", "new", "message"), BAD)
def test_bad_directories_fail_with_file_and_line(data, name, old, new, message):
    edit(data / name, old, new)
    done = validate(data)
    assert done.returncode == 1
    assert "Successfully" not in done.stdout
    assert done.stderr.startswith("validate_data_dir.sh: error: ")
    assert message == "" or f"{data / name}{message}" in done.stderr.splitlines()[0]


def test_last_line_must_be_complete(data):
    path = data / "utt2spk"
    path.write_text(path.read_text()[:-1])
    assert f"{path}:6: last line is not complete" in validate(data).stderr


def test_differing_ids_are_counted(data):
    text = (data / "segments").read_text().splitlines(keepends=True)
    (data / "segments").write_text("".join([*text[1:3], "b.x-0000001 b.x 1 2\n", *text[3:]]))
    (data / "segments").write_text("".join(sorted((data / "segments").read_text().splitlines(keepends=True))))
    done = validate(data)
    what = f"{data}/segments:3: ids differ from utt2spk: 1 missing, 1 too many, first a-0000000"
    assert done.stderr == f"validate_data_dir.sh: error: {what}\n"


def test_order_by_speaker_is_that_of_kaldi(tmp_path):
    # 'a' < 'a-' but 'a-0' > 'a--0': sorted by utterance, and yet not by speaker.
    (tmp_path / "wav.scp").write_text("a x\na- y\n")
    (tmp_path / "segments").write_text("a--0 a- 0 1\na-0 a 0 1\n")
    (tmp_path / "utt2spk").write_text("a--0 a-\na-0 a\n")
    (tmp_path / "spk2utt").write_text("a a-0\na- a--0\n")
    assert f"{tmp_path}/utt2spk:2: sorted by utterance but not by speaker" in validate(tmp_path).stderr


@pytest.mark.parametrize(
    ("missing", "options", "message"),
    [
        ("wav.scp", (), "wav.scp: no such file\nGive --no-wav."),
        ("utt2spk", (), "utt2spk: no such file"),
        ("spk2utt", (), "spk2utt: no such file"),
        ("reco2dur", (), None),
        ("ref.rttm", (), None),
        ("wav.scp", ("--no-wav",), None),
    ],
)
def test_files_that_may_and_may_not_be_absent(data, missing, options, message):
    (data / missing).unlink()
    done = validate(data, *options)
    assert done.returncode == (0 if message is None else 1)
    assert message is None or f"{data}/{message}\n" in done.stderr


def test_recordings_without_speech_do_not_pass_as_in_kaldi(data):
    with open(data / "wav.scp", "a") as stream:
        stream.write("d silent.wav\n")
    for name in ("reco2num_spk", "reco2dur"):
        (data / name).unlink()
    assert "wav.scp:4: ids differ from segments: 0 missing, 1 too many" in validate(data).stderr
    for name in ("segments", "utt2spk", "spk2utt"):
        (data / name).write_text("")
    assert "empty file" in validate(data).stderr


def test_validate_usage(data, tmp_path):
    done = run("validate_data_dir.sh", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: ")
    for arguments in ((), (data, data)):
        done = run("validate_data_dir.sh", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert "expected <data-dir>, got" in done.stderr
    assert "unknown option --no-foo" in run("validate_data_dir.sh", "--no-foo", data).stderr
    done = validate(tmp_path / "none")
    assert (done.returncode, done.stderr) == (1, f"validate_data_dir.sh: error: {tmp_path}/none: no such directory\n")
    assert run("validate_data_dir.sh", "--no-feats", "--no-text", "--no-wav", tmp_path).returncode == 1
