"""utils/validate_data_dir.sh and utils/fix_data_dir.sh."""

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
    ("utt2spk", "a-0000000 a\n", "a-0000000 a\na-0000000 a\n", ":2: duplicate id a-0000000, first seen in line 1"),
    ("utt2spk", "b.x-0000000 b.x\n", "", ""),
    ("utt2spk", "a-0000005 a", "a-0000005 b.x", ":2: utterance a-0000005 does not begin with its speaker"),
    ("spk2utt", "a-0000005", "a-0000006", ":1: utterances of a differ from those of utt2spk"),
    ("spk2utt", "c_1", "c_2", ":3: ids differ from those of utt2spk: 1 missing, 1 too many"),
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
    ("reco2dur", "a 20.0\n", "", ": ids differ from those of wav.scp: 1 missing, 0 too many"),
    ("reco2num_spk", "c_1 2", "c_1 0", ":3: bad number; expected a whole number from 1, got 0"),
    ("reco2num_spk", "a 2\nb.x 2\n", "b.x 2\na 2\n", ":2: not sorted: a comes after b.x"),
    ("reco2channel", "b.x 2", "b.x 0", ":1: bad channel; expected a whole number from 1, got 0"),
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
    assert done.stderr.startswith("validate_data_dir.py: error: ")
    assert message == "" or f"{data / name}{message}" in done.stderr.splitlines()[0]


def test_last_line_must_be_complete(data):
    path = data / "utt2spk"
    path.write_text(path.read_text()[:-1])
    assert f"{path}:6: last line is not complete" in validate(data).stderr


def test_differing_ids_are_shown_with_lengths(data):
    text = (data / "segments").read_text().splitlines(keepends=True)
    (data / "segments").write_text("".join([*text[1:3], "b.x-0000001 b.x 1 2\n", *text[3:]]))
    (data / "segments").write_text("".join(sorted((data / "segments").read_text().splitlines(keepends=True))))
    done = validate(data)
    assert done.stderr.splitlines() == [
        f"validate_data_dir.py: error: {data}/segments:3: ids differ from those of utt2spk: 1 missing, 1 too many",
        "- a-0000000 (not in segments)",
        "+ b.x-0000001 (not in utt2spk)",
        "[Lengths are utt2spk=6 versus segments=6]",
    ]


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
        ("wav.scp", (), "wav.scp: no such file\nIf this is by design, specify --no-wav."),
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


def test_features_and_text_are_required_unless_waived_and_checked_if_there(data):
    assert "feats.scp: no such file" in run("validate_data_dir.sh", "--no-text", data).stderr
    assert "text: no such file" in run("validate_data_dir.sh", "--no-feats", data).stderr
    ids = [line.split()[0] for line in (data / "utt2spk").read_text().splitlines()]
    (data / "feats.scp").write_text("".join(f"{key} x.ark:1\n" for key in ids))
    (data / "text").write_text("".join(f"{key} h\u00e9llo\n" for key in ids))
    assert run("validate_data_dir.sh", data).returncode == 0
    edit(data / "text", "llo", "l\x01o")
    assert "text:1: non-printing character" in run("validate_data_dir.sh", data).stderr
    assert run("validate_data_dir.sh", "--non-print", data).returncode == 0
    edit(data / "feats.scp", f"{ids[0]} x.ark:1\n", "")
    assert "feats.scp: ids differ from those of utt2spk: 1 missing" in validate(data).stderr


def test_recordings_without_speech_pass_only_if_allowed(data):
    with open(data / "wav.scp", "a") as stream:
        stream.write("d silent.wav\n")
    for name in ("reco2num_spk", "reco2dur"):
        (data / name).unlink()
    assert "wav.scp:4: ids differ from those of segments: 0 missing, 1 too many" in validate(data).stderr
    done = validate(data, "--allow-no-speech")
    assert done.returncode == 0
    assert "WARNING" in done.stdout and "1 of 4 recordings are not in it" in done.stdout
    for name in ("segments", "utt2spk", "spk2utt"):
        (data / name).write_text("")
    assert "empty file" in validate(data).stderr
    assert validate(data, "--allow-no-speech").returncode == 0


def test_validate_usage(data, tmp_path):
    done = run("validate_data_dir.sh", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: ")
    for arguments in ((), (data, data), ("",)):
        done = run("validate_data_dir.sh", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Usage: ")
    assert "unknown option --no-foo" in run("validate_data_dir.sh", "--no-foo", data).stderr
    done = validate(tmp_path / "none")
    assert (done.returncode, done.stderr) == (1, f"validate_data_dir.py: error: {tmp_path}/none: no such directory\n")
    assert run("validate_data_dir.sh", "--no-feats", "--no-text", "--no-wav", tmp_path).returncode == 1


# ---- fix_data_dir.sh


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_good_directory_stays_as_it_is(data):
    before = content(data)
    done = run("fix_data_dir.sh", data)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"fix_data_dir.sh: nothing to fix in {data}\n"
    assert content(data) == before


def test_fix_sorts_and_completes_lines(data):
    before = content(data)
    for name in ("wav.scp", "segments", "utt2spk", "reco2dur"):
        lines = (data / name).read_text().splitlines()
        (data / name).write_text("\n" + "\r\n".join([*reversed(lines), lines[0]]))
    (data / "spk2utt").unlink()
    broken = content(data)
    assert run("fix_data_dir.sh", data).returncode == 0
    after = content(data)
    assert {name: after[name] for name in before} == before
    assert {name: after[f".backup/{name}"] for name in ("wav.scp", "segments", "utt2spk", "reco2dur")} == {
        name: broken[name] for name in ("wav.scp", "segments", "utt2spk", "reco2dur")
    }
    assert validate(data).returncode == 0


def test_fix_drops_what_the_files_do_not_share_everywhere(data):
    edit(data / "reco2num_spk", "a 2\n", "")  # so recording a goes
    edit(data / "reco2channel", "b.x 2\n", "a 2\n")
    edit(data / "utt2spk", "b.x-0000000 b.x\n", "")  # so one segment goes
    edit(data / "ref.rttm", "SPEAKER a", ";; a comment\nSPEAKER a")
    done = run("fix_data_dir.sh", data)
    assert done.returncode == 0
    assert "segments: kept 3 of 6 lines" in done.stdout
    assert validate(data).returncode == 0
    for name in ("wav.scp", "reco2num_spk", "reco2dur", "all.uem", "spk2utt"):
        assert [line.split()[0] for line in (data / name).read_text().splitlines()] == ["b.x", "c_1"]
    assert (data / "reco2channel").read_text() == "c_1 1\n"
    assert (data / "ref.rttm").read_text().splitlines()[2:] == [";; a comment"]
    assert [line.split()[0] for line in (data / "segments").read_text().splitlines()] == [
        "b.x-0000005",
        "c_1-0000000",
        "c_1-0000005",
    ]
    # The second run changes nothing, and so does not replace what was kept.
    backup = (data / ".backup" / "segments").read_text()
    assert run("fix_data_dir.sh", data).stdout == f"fix_data_dir.sh: nothing to fix in {data}\n"
    assert (data / ".backup" / "segments").read_text() == backup


def test_fix_before_speech_is_known(data):
    for name in ("segments", "utt2spk", "spk2utt"):
        (data / name).unlink()
    edit(data / "reco2dur", "a 20.0\n", "")
    assert run("fix_data_dir.sh", data).returncode == 0
    assert [line.split()[0] for line in (data / "wav.scp").read_text().splitlines()] == ["b.x", "c_1"]
    assert validate(data).returncode == 0


def test_fix_takes_extra_files(data):
    (data / "utt2snr").write_text("zz 3\na-0000005 2\n")
    (data / "spk2line").write_text("zz 3\na 2\n")
    assert (
        run("fix_data_dir.sh", "--utt-extra-files", "utt2snr x", "--spk-extra-files", "spk2line", data).returncode == 0
    )
    assert (data / "utt2snr").read_text() == "a-0000005 2\n"
    assert (data / "spk2line").read_text() == "a 2\n"
    assert len((data / "segments").read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("wav.scp", "b.x sox", "a cat", "wav.scp:2: a has another line already, line 1"),
        ("segments", "a-0000000 a 0.000", "a-0000000 0.000", "segments:1: wrong number of fields; expected 4, got 3"),
        ("utt2spk", "a-0000000 a", "a-0000000", "utt2spk:1: wrong number of fields; expected 2, got 1"),
        ("all.uem", "a 1", "\x00\udcff 1", "all.uem:1: not UTF-8 text"),
    ],
)
def test_what_cannot_be_mended_is_left_alone(data, name, old, new, message):
    text = (data / name).read_text().replace(old, new, 1)
    (data / name).write_bytes(text.encode(errors="surrogateescape"))
    edit(data / "reco2num_spk", "a 2\n", "")
    before = content(data)
    done = run("fix_data_dir.sh", data)
    assert done.returncode == 1
    assert done.stderr.startswith(f"fix_data_dir.py: error: {data}/{message}")
    assert content(data) == before


def test_fix_refuses_to_leave_nothing(data):
    (data / "reco2dur").write_text("z 3\n")
    before = content(data)
    done = run("fix_data_dir.sh", data)
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing that all files have in common would remain" in done.stderr
    assert content(data) == before


def test_fix_usage(tmp_path):
    done = run("fix_data_dir.sh", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: ")
    assert run("fix_data_dir.sh").stderr.startswith("Usage: ")
    assert "unknown option --foo" in run("fix_data_dir.sh", "--foo", "x").stderr
    assert "no such directory" in run("fix_data_dir.sh", tmp_path / "none").stderr
    assert "neither utt2spk nor wav.scp is there" in run("fix_data_dir.sh", tmp_path).stderr
    assert list(tmp_path.iterdir()) == []
