"""local/prepare_data.sh: the corpus mini, with the network and without, and its refusals."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import fetch_prompts
from ssdiar.base.errors import InputError
from ssdiar.io.rttm import read_rttm

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "local" / "prepare_data.sh"
# What prepare_data.sh may use besides Python, so that a PATH without apt-get can be made of it.
TOOLS = ["bash", "env", "dirname", "basename", "readlink", "cat", "mkdir", "mktemp", "rm"]


def run(*args, cwd, **environment):
    env = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([SCRIPT, *map(str, args)], cwd=cwd, env=env, capture_output=True, text=True, check=False)


def path_without_apt(folder):
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool))
    return str(folder)


def content(folder):
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    """The corpus as users get it, from the network; skipped where there is none, but not under CI."""
    folder = tmp_path_factory.mktemp("recipe") / "ma récette"
    folder.mkdir()
    result = run("--num-calls", 2, "--data-root", "data root", cwd=folder)
    offline = "cannot download" in result.stderr or "no voices" in result.stderr
    if offline and not os.environ.get("CI"):
        pytest.skip(f"no network: {result.stderr}")
    assert result.returncode == 0, result.stderr
    return folder / "data root"


def test_mini_is_a_real_call_and_simulated_ones(mini):
    data = mini / "mini"
    names = ["phone_sample", "sim-0001", "sim-0002"]
    assert (data / "wav.scp").read_text() == "".join(f"{name} {data}/wav/{name}.flac\n" for name in names)
    assert (data / "reco2num_spk").read_text() == "".join(f"{name} 2\n" for name in names)
    assert (data / "reco2dur").read_text() == "phone_sample 30.000\nsim-0001 120.000\nsim-0002 120.000\n"
    turns = read_rttm(data / "ref.rttm")
    speech = {name: sum(turn.end - turn.start for turn in turns if turn.reco == name) for name in names}
    assert speech["phone_sample"] == pytest.approx(24.35)
    assert all(70 < speech[name] < 130 for name in names[1:])
    assert {turn.speaker for turn in turns if turn.reco == "sim-0001"} == {"paola_it", "carlo_it"}
    validate = [ROOT / "utils" / "validate_data_dir.sh", "--no-feats", "--no-text", data]
    assert subprocess.run(validate, env={**os.environ, "PYTHON": sys.executable}, check=False).returncode == 0
    # The simulated calls are the same ones for everybody and from one version to the next.
    simulated = [line for line in (data / "ref.rttm").read_text().splitlines(keepends=True) if " sim-" in line]
    digest = hashlib.sha256("".join(simulated).encode()).hexdigest()
    assert digest == "ed0e39136fedd0198e08e854b1408cd5cd369769765a0ad3b99cffe90f802315"
    assert sorted(path.name for path in mini.iterdir()) == ["local", "mini"]
    assert sorted(path.name for path in (mini / "local").iterdir()) == ["phone_sample", "prompts"]


def test_prompts_are_eight_voices_without_signals(mini):
    prompts = mini / "local" / "prompts"
    assert sorted(path.name for path in prompts.iterdir()) == sorted(fetch_prompts.VOICES.values())
    names = {path.name for path in prompts.rglob("*.gsm")}
    assert len(names) > 500 and not names & {"beep.gsm", "silence_1.gsm", "ascending-2tone.gsm"}


def test_rerun_leaves_it_and_other_options_remake_it_without_the_network(mini):
    before = content(mini / "mini")
    again = run("--num-calls", 2, "--data-root", mini, cwd=mini.parent)
    assert again.returncode == 0 and "is there already" in again.stderr
    assert content(mini / "mini") == before
    offline = {"PIP_NO_INDEX": "1", "PATH": path_without_apt(mini.parent / "bin")}
    other = run("--num-calls", 1, "--data-root", mini, cwd=mini.parent, **offline)
    assert other.returncode == 0, other.stderr
    assert (mini / "mini" / "reco2num_spk").read_text() == "phone_sample 2\nsim-0001 2\n"
    # The first call is the same one, whatever the number of calls.
    changed = content(mini / "mini")
    call = str(mini / "mini" / "wav" / "sim-0001.flac")
    assert changed[call] == before[call]


def test_without_apt_it_is_the_real_call_alone_and_says_so(mini, tmp_path):
    shutil.copytree(mini / "local" / "phone_sample", tmp_path / "data" / "local" / "phone_sample")
    path = path_without_apt(tmp_path / "bin")
    result = run(cwd=tmp_path, PATH=path)
    assert result.returncode == 0, result.stderr
    assert "apt-get and dpkg-deb not found" in result.stderr and "mini is only the real call" in result.stderr
    assert (tmp_path / "data" / "mini" / "reco2num_spk").read_text() == "phone_sample 2\n"
    before = content(tmp_path / "data")
    again = run(cwd=tmp_path, PATH=path)
    assert again.returncode == 0 and "is there already, only the real call" in again.stderr
    assert content(tmp_path / "data") == before
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = run("--data-root", "moved", cwd=tmp_path, PATH=path)
    assert moved.returncode == 0 and (tmp_path / "moved" / "mini" / "wav.scp").read_text() == (
        f"phone_sample {tmp_path}/moved/mini/wav/phone_sample.flac\n"
    )


def test_a_data_directory_of_the_user_is_kept(tmp_path):
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "wav.scp").write_text("own own.wav\n")
    result = run("--data-root", ".", cwd=tmp_path)
    assert result.returncode == 1 and "error: mini: was not made by this script" in result.stderr
    assert content(tmp_path) == {str(tmp_path / "mini" / "wav.scp"): b"own own.wav\n"}


def test_unreachable_wheel_is_a_clear_error(tmp_path):
    result = run("--num-calls", 0, cwd=tmp_path, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert result.returncode == 1
    assert "fetch_phone_sample.py: error: pip cannot download pyannote.audio==" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "data" / "mini").exists() and not any((tmp_path / "data" / "local").iterdir())


def test_another_file_in_the_wheel_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "pyannote_audio-4.0.7-py3-none-any.whl", "w") as wheel:
        wheel.writestr("pyannote/audio/sample/sample.wav", b"other")
        wheel.writestr("../escaped", b"out")
        info = "pyannote_audio-4.0.7.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: pyannote.audio\nVersion: 4.0.7\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    result = run(cwd=tmp_path, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert result.returncode == 1
    assert "sample.wav is another file; expected sha256 c319b4ab" in result.stderr
    assert not list(tmp_path.rglob("escaped")) and not (tmp_path / "data" / "mini").exists()


def test_nothing_leaves_its_folder_when_a_package_is_unpacked(tmp_path, monkeypatch):
    """A package whose paths climb, whose names are links, and one honest prompt; dpkg-deb is played by cat."""
    with tarfile.open(tmp_path / "evil.deb", "w") as archive:
        sounds = "./usr/share/asterisk/sounds"
        for name in (f"{sounds}/en/../../../../../../escaped.gsm", "/tmp/escaped.gsm", f"{sounds}/en/digits/1.gsm"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo(f"{sounds}/en/link.gsm")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (tmp_path / "bin").mkdir()
    dpkg = tmp_path / "bin" / "dpkg-deb"
    dpkg.write_text('#!/bin/sh\nexec cat "$2"\n')
    dpkg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    out = tmp_path / "a" / "b" / "c" / "out"
    out.parent.mkdir(parents=True)
    assert fetch_prompts.unpack(tmp_path / "evil.deb", out) == len(list(out.iterdir()))
    assert all(path.is_file() and not path.is_symlink() for path in out.iterdir()) and (out / "digits_1.gsm").exists()
    assert not [path for path in tmp_path.rglob("*escaped*") if path.parent != out]
    (tmp_path / "broken.deb").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"broken\.deb: damaged package"):
        fetch_prompts.unpack(tmp_path / "broken.deb", tmp_path / "other")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--set", "callhome"], "--set: unknown corpus; expected mini, got callhome"),
        (["--num-calls", "many"], "--num-calls: expected a whole number from 0, got many"),
        (["--seed", "-3"], "--seed: expected a whole number from 0, got -3"),
        (["--python", "/no/python"], "/no/python: no such Python"),
        (["--nope", "1"], "unknown option --nope"),
        (["here"], "expected options only, got here"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(tmp_path, args, message):
    result = run(*args, cwd=tmp_path)
    assert result.returncode == 1 and f"prepare_data.sh: error: {message}" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_help(tmp_path):
    result = run("--help", cwd=tmp_path)
    assert result.returncode == 0
    for option in ("--data-root", "--set", "--num-calls", "--seed", "--python", "--verbose", "--config"):
        assert option in result.stdout
