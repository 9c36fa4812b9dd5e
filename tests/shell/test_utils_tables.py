"""utils/{utt2spk_to_spk2utt,spk2utt_to_utt2spk}.pl."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[2] / "utils"


@pytest.fixture
def run(tmp_path: Path):
    def run(name: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [UTILS / name, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, input=stdin, timeout=300)

    return run


def check_error(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(message)


SCRIPTS = ["utt2spk_to_spk2utt.pl", "spk2utt_to_utt2spk.pl"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_usage(run, name):
    done = run(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: " in done.stdout
    check_error(run(name, "a", "b", "c", "d"), "Usage: ")


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


@pytest.mark.parametrize("name", SCRIPTS)
def test_missing_file_is_an_error(run, name):
    check_error(run(name, "none"), f"{name}: error: none: cannot read it")  # Kaldi's: rc 0
