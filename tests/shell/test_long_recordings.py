"""Long recordings are done in parts, by several jobs: the same bytes for every --nj and on Slurm, and what the whole
would give."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ssdiar.io.ark import XVectors
from ssdiar.io.recordings import Recording
from ssdiar.io.segmentation import read_segmentation
from ssdiar.io.tables import write_segments
from ssdiar.speech.source import read_sad
from ssdiar.timeline.spans import Segment
from ssdiar.xvectors.models import load_model, read_model_config

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 680.0
SEGMENTATION = ["--sad", "pyannote+step=10", "--changes", "cut", "--overlap", "label"]
STARTS = np.array([0.0, 20.3, 77.53, 119.6, 121.0, 239.9, 240.0, 301.25, 679.25])
# Two lengths and starts for which frames are rounded from a half.
ENDS = STARTS + np.where(np.isin(STARTS, [77.53, 239.9]), 0.74, 0.75)


def piece_id(reco, start, end):
    return f"{reco}-{round(100 * start):07d}-{round(100 * end):07d}"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A data directory with a long recording at 11,025 Hz and a short one, and a few pieces of both."""
    root = tmp_path_factory.mktemp("long") / "où è"
    (root / "data").mkdir(parents=True)
    time = np.arange(int(SECONDS * 11025)) / 11025
    sound = 0.1 * np.sign(np.sin(2 * np.pi * 120 * time)) * (time % 7 < 4)
    sound += np.random.default_rng(0).normal(0, 1e-3, len(time))
    soundfile.write(root / "long.wav", sound, 11025)
    soundfile.write(root / "short.wav", sound[: 9 * 11025], 11025)
    (root / "data/wav.scp").write_text(f"long {root}/long.wav\nshort {root}/short.wav\n")
    places = [*zip(["long"] * len(STARTS), STARTS, ENDS, strict=True), ("short", 1.0, 1.75)]
    (root / "pieces").mkdir()
    pieces = [Segment(piece_id(*place), *place) for place in places]
    write_segments(root / "pieces", pieces)
    (root / "pieces/meta.json").write_text("{}")
    return root


def run(work, script, *arguments, environment=os.environ):
    command = [ROOT / "steps/diar" / script, "--python", sys.executable, *arguments]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=900, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done


def files(folder):
    found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path: data for path, data in found.items() if path.parts[0] not in (".manifest", "log", "xvector.scp")}


def test_x_vectors(work):
    for nj in ("1", "3"):
        run(work, "extract_xvectors.sh", "--nj", nj, "data", "pieces", f"vectors{nj}")
    assert files(work / "vectors1") == files(work / "vectors3")
    assert len(list((work / "vectors3/log").iterdir())) == 3
    assert len(list((work / "vectors3/parts").glob("long@*"))) == 7  # of eleven: nothing is said in the others
    vectors = XVectors(work / "vectors3/xvector.scp")
    model = load_model(read_model_config(ROOT / "conf/xvector/campplus.yaml"))
    samples, _ = Recording(str(work / "long.wav")).read(16000)
    whole = model.embed(samples, np.column_stack([STARTS, ENDS]))
    ids = [piece_id("long", *place) for place in zip(STARTS, ENDS, strict=True)]
    np.testing.assert_allclose(vectors.load(ids), whole, atol=1e-5)


def test_speech_regions_and_segmentation(work):
    arguments = [*SEGMENTATION]
    for nj in ("1", "3"):
        run(work, "detect_speech.sh", *arguments, "--nj", nj, "data", f"speech{nj}")
    assert files(work / "speech1") == files(work / "speech3")
    assert {path.name for path in (work / "speech3/parts").iterdir()} == {f"long@{part}.npz" for part in range(3)}
    costs = json.loads((work / "speech3/.manifest/detect_speech.json").read_text())["costs"]
    assert costs["long@0"] == costs["long@1"] == pytest.approx(8 * costs["long@2"]), "32, 32 and 4 windows"
    found = read_segmentation(work / "speech3/segmentation/long.npz")
    samples, rate = Recording(str(work / "long.wav")).read()
    whole = read_sad("pyannote+step=10").segment(samples, rate)
    for name, value in vars(whole).items():
        np.testing.assert_array_equal(getattr(found, name), value)
    # Another threshold joins the parts that are there anew.
    arguments[1] += "+onset=0.5"
    run(work, "detect_speech.sh", *arguments, "data", "speech1")
    log = "".join(path.read_text() for path in (work / "speech1/log").iterdir())
    assert "long: " in log and "part" not in log


def test_parts_over_slurm(work, slurm):
    for script, folders in (
        ("detect_speech.sh", [*SEGMENTATION, "data", "speech"]),
        ("extract_xvectors.sh", ["data", "pieces", "vectors"]),
    ):
        *arguments, out = folders
        run(work, script, "--nj", "1", *arguments, f"{out}1")
        cluster = ["--cmd", "slurm.pl --mem 2G", "--nj", "3"]
        run(work, script, *cluster, *arguments, f"{out}_slurm", environment=slurm.environment)
        assert files(work / f"{out}_slurm") == files(work / f"{out}1")
        assert len(list((work / f"{out}_slurm/log").glob("*.?.log"))) == 3, "parts of the long one are jobs"
