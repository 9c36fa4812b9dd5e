"""utils/{split_scp,filter_scp,utt2spk_to_spk2utt,spk2utt_to_utt2spk}.pl and utils/split_data.sh."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[2] / "utils"


@pytest.fixture
def run(tmp_path: Path):
    def run(name: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [UTILS / name, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, input=stdin, timeout=30)

    return run


def check_error(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(message)


PERL = ["split_scp.pl", "filter_scp.pl", "utt2spk_to_spk2utt.pl", "spk2utt_to_utt2spk.pl"]


@pytest.mark.parametrize("name", [*PERL, "split_data.sh"])
def test_usage(run, name):
    done = run(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: " in done.stdout
    check_error(run(name, "a", "b", "c", "d") if name != "split_scp.pl" else run(name), "Usage: ")


@pytest.mark.parametrize("name", ["split_scp.pl", "filter_scp.pl", "split_data.sh"])
def test_unknown_options_are_refused(run, name):
    check_error(run(name, "--foo", "a", "b"), f"{name}: error: unknown option --foo")


# ---- split_scp.pl


def parts(tmp_path: Path, count: int) -> list[list[str]]:
    return [(tmp_path / f"é {n}").read_text().split("\n")[:-1] for n in range(1, count + 1)]


def out(count: int) -> list[str]:
    return [f"é {n}" for n in range(1, count + 1)]


@pytest.mark.parametrize(("lines", "sizes"), [(6, [2, 2, 1, 1]), (4, [1, 1, 1, 1]), (9, [3, 2, 2, 2])])
def test_split_by_lines_gives_the_rest_to_the_first_parts(run, tmp_path, lines, sizes):
    (tmp_path / "in").write_text("".join(f"{n} x  y\n" for n in range(lines)))
    assert run("split_scp.pl", "in", *out(4)).returncode == 0
    split = parts(tmp_path, 4)
    assert [len(part) for part in split] == sizes
    assert [line for part in split for line in part] == [f"{n} x  y" for n in range(lines)]


# The expected sizes are what Kaldi's split_scp.pl gives.
@pytest.mark.parametrize(
    ("by_speaker", "sizes"),
    [([1, 1, 1, 9], [3, 9]), ([9, 1, 1, 1], [9, 3]), ([5, 1, 1, 5, 2, 8], [7, 7, 8]), ([2, 2], [2, 2])],
)
def test_split_keeps_speakers_together_and_balances(run, tmp_path, by_speaker, sizes):
    lines = [(f"s{s}-{n}", f"s{s}") for s, count in enumerate(by_speaker) for n in range(count)]
    (tmp_path / "utt2spk").write_text("".join(f"{utt} {spk}\n" for utt, spk in lines))
    assert run("split_scp.pl", "--utt2spk=utt2spk", "utt2spk", *out(len(sizes))).returncode == 0
    split = parts(tmp_path, len(sizes))
    assert [len(part) for part in split] == sizes
    assert [line for part in split for line in part] == [f"{utt} {spk}" for utt, spk in lines]


def test_split_one_part_to_stdout(run, tmp_path):
    (tmp_path / "in").write_text("a\nb\nc\nno newline")
    assert run("split_scp.pl", "-j", "3", "0", "in").stdout == "a\nb\n"
    assert run("split_scp.pl", "-j", "3", "3", "--one-based", "in").stdout == "no newline\n"
    check_error(run("split_scp.pl", "-j", "3", "3", "in"), "split_scp.pl: error: no part 3; expected 0 to 2")


def test_split_errors_come_before_any_output(run, tmp_path):
    (tmp_path / "in").write_text("a x\nb x\n")
    (tmp_path / "utt2spk").write_text("a s\n")
    (tmp_path / "bad").write_text("a s\nb\n")
    for arguments, message in (
        (["in", *out(3)], "in: too few lines to split; expected at least 3 (one per part), got 2"),
        (["none", *out(1)], "none: cannot read it: No such file"),
        (["--utt2spk=none", "in", *out(1)], "none: cannot read it: No such file"),
        (["--utt2spk=utt2spk", "in", *out(1)], "in:2: no utterance b in utt2spk"),
        (["--utt2spk=bad", "in", *out(1)], "bad:2: wrong number of fields; expected 2 (utterance speaker), got 1"),
        (["--utt2spk=utt2spk", "utt2spk", *out(2)], "utt2spk: too few speakers to split; expected at least 2"),
    ):
        check_error(run("split_scp.pl", *arguments), f"split_scp.pl: error: {message}")
        assert not (tmp_path / "é 1").exists()


# ---- filter_scp.pl


def test_filter(run, tmp_path):
    (tmp_path / "ids").write_text("b x\na\n")
    (tmp_path / "in").write_text("a  1\nc a\nb\té\n0 b\n")
    assert run("filter_scp.pl", "ids", "in").stdout == "a  1\nb\té\n"
    assert run("filter_scp.pl", "--exclude", "ids", stdin="a 1\nc 2\n").stdout == "c 2\n"
    assert run("filter_scp.pl", "-f", "2", "ids", "in").stdout == "c a\n0 b\n"
    assert run("filter_scp.pl", "-f", "2", "--exclude", "ids", "in").stdout == "a  1\nb\té\n"


def test_filter_errors(run, tmp_path):
    (tmp_path / "ids").write_text("a\n\n")
    (tmp_path / "in").write_text("a 1\nb\n")
    check_error(run("filter_scp.pl", "in", "none"), "filter_scp.pl: error: none: cannot read it")  # Kaldi's: rc 0
    check_error(run("filter_scp.pl", "none", "in"), "filter_scp.pl: error: none: cannot read it")
    check_error(run("filter_scp.pl", ".", "in"), "filter_scp.pl: error: .: is a folder")
    check_error(run("filter_scp.pl", "ids", "in"), "filter_scp.pl: error: ids:2: empty line")
    check_error(run("filter_scp.pl", "-f", "2", "in", "in"), "filter_scp.pl: error: in:2: no field 2")
    check_error(run("filter_scp.pl", "-f", "0", "in", "in"), "filter_scp.pl: error: bad value of -f")


# ---- utt2spk and spk2utt


def test_utt2spk_and_back(run, tmp_path):
    (tmp_path / "utt2spk").write_text("a-1 a\na-2 a\n0 0\n")
    done = run("utt2spk_to_spk2utt.pl", "utt2spk")
    assert (done.returncode, done.stdout) == (0, "a a-1 a-2\n0 0\n")
    assert run("spk2utt_to_utt2spk.pl", stdin=done.stdout).stdout == (tmp_path / "utt2spk").read_text()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("utt2spk_to_spk2utt.pl", "a s\nb s t\n", "-:2: wrong number of fields; expected 2 (utterance speaker), got 3"),
        ("utt2spk_to_spk2utt.pl", "a s\n\n", "-:2: wrong number of fields"),
        ("utt2spk_to_spk2utt.pl", "a s\na t\n", "-:2: duplicate utterance a, first seen in line 1"),
        ("spk2utt_to_utt2spk.pl", "s a\nt\n", "-:2: no utterance; expected a speaker and its utterances"),
        ("spk2utt_to_utt2spk.pl", "s a\nt b a\n", "-:2: duplicate utterance a, first seen in line 1"),
    ],
)
def test_bad_utt2spk_and_spk2utt(run, name, text, message):
    check_error(run(name, stdin=text), f"{name}: error: {message}")


@pytest.mark.parametrize("name", PERL[2:])
def test_missing_file_is_an_error(run, name):
    check_error(run(name, "none"), f"{name}: error: none: cannot read it")  # Kaldi's: rc 0


# ---- split_data.sh


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "da tä"
    folder.mkdir()
    recos = {"r1": 1, "r2": 3, "r3": 2, "silent": 0}
    utts = [(f"{reco}-{n}", reco, n) for reco, count in recos.items() for n in range(count)]
    (folder / "wav.scp").write_text("".join(f"{reco} sox {reco}.wav -t wav - |\n" for reco in recos))
    (folder / "segments").write_text("".join(f"{utt} {reco} {n} {n + 1}\n" for utt, reco, n in utts))
    (folder / "utt2spk").write_text("".join(f"{utt} {reco}\n" for utt, reco, _ in utts))
    (folder / "reco2num_spk").write_text("".join(f"{reco} 2\n" for reco in recos))
    (folder / "all.uem").write_text(";; made by hand\n" + "".join(f"{reco} 1 0 9\n" for reco in recos))
    rttm = "".join(f"SPEAKER {reco} 1 0 {n} <NA> <NA> {reco} <NA> <NA>\n" for reco in recos for n in (1, 2))
    (folder / "ref.rttm").write_text(";;\n" + rttm)
    return folder


def first_fields(path: Path, field: int = 0) -> list[str]:
    return [line.split()[field] for line in path.read_text().splitlines()]


def test_split_data_by_recording(run, data):
    done = run("split_data.sh", data.name, "2")
    assert (done.returncode, done.stderr) == (0, "")
    one, two = data / "split2" / "1", data / "split2" / "2"
    assert first_fields(one / "utt2spk") == first_fields(one / "segments") == ["r1-0", "r2-0", "r2-1", "r2-2"]
    assert (one / "spk2utt").read_text() == "r1 r1-0\nr2 r2-0 r2-1 r2-2\n"
    assert (two / "spk2utt").read_text() == "r3 r3-0 r3-1\n"
    for name in ("wav.scp", "reco2num_spk", "all.uem"):
        assert first_fields(one / name) == ["r1", "r2", "silent"]
        assert first_fields(two / name) == ["r3"]
    assert first_fields(two / "ref.rttm", 1) == ["r3", "r3"]
    assert (two / "wav.scp").read_text() == "r3 sox r3.wav -t wav - |\n"


def test_split_data_by_utterance(run, data):
    assert run("split_data.sh", "--per-utt", data.name, "3").returncode == 0
    pieces = [data / "split3utt" / str(n) for n in (1, 2, 3)]
    assert [first_fields(piece / "utt2spk") for piece in pieces] == [
        ["r1-0", "r2-0"],
        ["r2-1", "r2-2"],
        ["r3-0", "r3-1"],
    ]
    assert [first_fields(piece / "wav.scp") for piece in pieces] == [["r1", "r2", "silent"], ["r2"], ["r3"]]


def test_split_data_before_speech_is_known(run, data):
    (data / "segments").unlink()
    (data / "utt2spk").unlink()
    assert run("split_data.sh", data.name, "2").returncode == 0
    assert first_fields(data / "split2" / "2" / "wav.scp") == ["r3", "silent"]
    assert first_fields(data / "split2" / "2" / "reco2num_spk") == ["r3", "silent"]
    assert not (data / "split2" / "2" / "spk2utt").exists()


def test_split_data_is_redone_only_for_new_content(run, data):
    assert run("split_data.sh", data.name, "2").returncode == 0
    before = (data / "split2" / "1" / "wav.scp").stat().st_ino
    os.utime(data / "wav.scp")
    assert run("split_data.sh", data.name, "2").returncode == 0
    assert (data / "split2" / "1" / "wav.scp").stat().st_ino == before
    (data / "wav.scp").write_text((data / "wav.scp").read_text().replace("sox r3", "cat r3"))
    os.utime(data / "wav.scp", (1, 1))  # older than the split, and yet other
    assert run("split_data.sh", data.name, "2").returncode == 0
    assert (data / "split2" / "2" / "wav.scp").read_text().startswith("r3 cat")
    (data / "reco2num_spk").unlink()
    assert run("split_data.sh", data.name, "2").returncode == 0
    assert not (data / "split2" / "1" / "reco2num_spk").exists()


def test_split_data_errors_leave_nothing_behind(run, data):
    before = sorted(path.name for path in data.iterdir())
    for arguments, message in (
        ([data.name, "0"], "split_data.sh: error: bad number of pieces; expected a whole number from 1, got '0'"),
        ([data.name, "x"], "split_data.sh: error: bad number of pieces; expected a whole number from 1, got 'x'"),
        ([data.name, "4"], f"split_scp.pl: error: {data.name}/utt2spk: too few speakers to split; expected at least 4"),
        (["none", "2"], "split_data.sh: error: none: no such directory"),
    ):
        check_error(run("split_data.sh", *arguments), message)
        assert sorted(path.name for path in data.iterdir()) == before
    (data / "segments").write_text("broken\n")
    assert run("split_data.sh", data.name, "2").returncode == 1
    assert sorted(path.name for path in data.iterdir()) == before
