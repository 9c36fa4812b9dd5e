"""local/fetch_readers.py on small corpora of the same layout: a folder, and git repositories."""

import subprocess
import sys
from pathlib import Path

import pytest

import fetch_readers

SCRIPT = Path(__file__).resolve().parents[2] / "local" / "fetch_readers.py"


def fetch(*args, cwd):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, args)], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.fixture
def corpus(tmp_path):
    """Two adults and a child."""
    folder = tmp_path / "mon corpus"
    for part, ages in (("train", {"0001": 37, "0002": 9}), ("test", {"0003": 16})):
        (folder / part).mkdir(parents=True)
        (folder / part / "spk2age").write_text("".join(f"{name}\t{age}\n" for name, age in ages.items()))
        for name in ages:
            (folder / "WAVE" / f"SPEAKER{name}").mkdir(parents=True)
            (folder / "WAVE" / f"SPEAKER{name}" / f"{name}1.WAV").write_bytes(name.encode())
    return folder


def test_adults_of_a_folder(corpus, tmp_path):
    done = fetch("--source", corpus, "les voix", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = {path.parent.name: path.read_bytes() for path in (tmp_path / "les voix").rglob("*.WAV")}
    assert found == {"reader0001": b"0001", "reader0003": b"0003"}
    assert "is there already" in fetch("--source", corpus, "les voix", cwd=tmp_path).stderr


def test_a_repository_at_the_commit(corpus, tmp_path, monkeypatch, need):
    git = [need("git"), "-C", corpus, "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    monkeypatch.setattr(fetch_readers, "COMMIT", commit)
    (tmp_path / "copy").mkdir()
    fetch_readers.fetch(str(corpus), tmp_path / "copy")
    assert (tmp_path / "copy/WAVE/SPEAKER0003/00031.WAV").read_bytes() == b"0003"


def test_a_repository_without_the_commit(corpus, tmp_path, need):
    subprocess.run([need("git"), "init", "-q", tmp_path / "other"], check=True)
    done = fetch("--source", tmp_path / "other", "voices", cwd=tmp_path)
    assert done.returncode == 1 and "git cannot fetch the voices" in done.stderr and "--source" in done.stderr
    assert not (tmp_path / "voices").exists()
