"""Graphs that are built and run in memory: inputs, several outputs, devices; checkpoints read without PyTorch."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ssdiar.base.errors import InputError
from ssdiar.networks import graph
from ssdiar.networks.checkpoint import read_checkpoint
from ssdiar.networks.graph import Graph, device_of_job
from ssdiar.networks.pyannet import load_network
from ssdiar.xvectors.models import load_model, read_model_config

ROOT = Path(__file__).resolve().parents[2]


def shifted_product():
    made = Graph({"rows": ("N", 3)})
    product = made("MatMul", "rows", np.eye(3, 2, dtype=np.float32))
    return made, [made("Add", product, np.float32([1, 2])), made("Gather", product, np.array(1), axis=0)]


def test_a_graph_computes_its_outputs():
    made, outputs = shifted_product()
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    shifted, chosen = made.load(*outputs)(rows=rows)
    np.testing.assert_array_equal(shifted, [[1, 3], [4, 6]])
    np.testing.assert_array_equal(chosen, [3, 4])


def test_a_device_that_is_not_there():
    made, outputs = shifted_product()
    with pytest.raises(InputError, match=r"cannot use a GPU; expected CUDA.*\n.*onnxruntime-gpu"):
        made.load(*outputs, device="cuda")


def test_jobs_share_the_gpus_that_they_see(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert [device_of_job("cuda", job) for job in (1, 2, 3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert device_of_job("cpu", 2) == "cpu"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(graph, "glob", lambda pattern: [])
    assert device_of_job("cuda", 3) == "cuda:0"


def test_batches_of_another_device_give_the_same(monkeypatch):
    """The way of a GPU, on the CPU: larger batches change vectors and probabilities by rounding only."""
    monkeypatch.setitem(graph._PROVIDERS, "cuda", ("CPUExecutionProvider", {}))
    samples = np.random.default_rng(0).normal(0, 0.05, 16000 * 22).astype(np.float32)
    first_frames = np.array([0, 300, 700])
    one, many = (load_network(device=device).probabilities(samples, first_frames, 160000) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(many, one, atol=1e-5)
    starts = np.arange(0, 21, 0.5)
    models = [load_model(read_model_config(f"campplus+device={device}")) for device in ("cpu", "cuda")]
    one, many = (model.embed(samples, np.column_stack([starts, starts + 0.75])) for model in models)
    np.testing.assert_allclose(many, one, atol=1e-5 * np.linalg.norm(one, axis=1).max())


def test_no_torch_for_networks_of_the_cpu():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from ssdiar.networks.pyannet import load_network;"
        "from ssdiar.xvectors.models import load_model, read_model_config; load_network();"
        "load_model(read_model_config(sys.argv[2])); assert 'torch' not in sys.modules"
    )
    arguments = [ROOT / "steps/libs", ROOT / "conf/xvector/campplus.yaml"]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)


def test_checkpoints_hold_what_torch_saved(tmp_path):
    whole = torch.arange(24.0).reshape(2, 3, 4)
    saved = {"a": whole, "b": [whole[1, :, 2], whole.permute(2, 0, 1)], "c": torch.zeros(0, 3), "n": torch.tensor(7)}
    saved |= {"half": whole.half(), "name": "x"}
    torch.save(saved, tmp_path / "saved.pt")
    found = read_checkpoint(tmp_path / "saved.pt")
    assert found["name"] == "x" and found["half"].dtype == np.float16 and found["n"] == 7
    for left, right in ((found["a"], whole), *zip(found["b"], saved["b"], strict=True), (found["c"], saved["c"])):
        np.testing.assert_array_equal(left, right.numpy())


def test_a_tensor_outside_its_storage(tmp_path):
    torch.save({"a": torch.arange(24.0)}, tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as source, zipfile.ZipFile(tmp_path / "cut.pt", "w") as copy:
        for name in source.namelist():
            data = source.read(name)
            copy.writestr(name, data[:48] if name.endswith("data/0") else data)
    with pytest.raises(ValueError, match="not inside its storage"):
        read_checkpoint(tmp_path / "cut.pt")
