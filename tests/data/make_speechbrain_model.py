#!/usr/bin/env python3
"""Make a folder laid out as the hub repository speechbrain/spkrec-xvect-voxceleb is: `make_speechbrain_model.py DIR`.

The same file names, the same parts under the same keys of hyperparams.yaml, the hub's name as the place of the weights,
and vectors of the same dimension. The network is narrower (1 MB instead of 17), and its weights are random.
"""

import sys
from pathlib import Path

import torch

HYPERPARAMS = """
# Features, then the sentence's mean taken off, then the TDNN.
n_mels: 24
pretrained_path: speechbrain/spkrec-xvect-voxceleb
compute_features: !new:speechbrain.lobes.features.Fbank
  n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
  {norm_type: sentence, std_norm: false}
embedding_model: !new:speechbrain.lobes.models.Xvector.Xvector
  in_channels: !ref <n_mels>
  activation: !name:torch.nn.LeakyReLU
  tdnn_blocks: 5
  tdnn_channels: CHANNELS
  tdnn_kernel_sizes: [5, 3, 3, 1, 1]
  tdnn_dilations: [1, 2, 3, 1, 1]
  lin_neurons: 512
# What follows is loaded, but x-vectors do not go through it.
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
  {norm_type: global, std_norm: false}
classifier: !new:speechbrain.lobes.models.Xvector.Classifier
  input_shape: [null, null, 512]
  activation: !name:torch.nn.LeakyReLU
  lin_blocks: 1
  lin_neurons: 16
  out_neurons: 5
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
modules:
  compute_features: !ref <compute_features>
  mean_var_norm: !ref <mean_var_norm>
  embedding_model: !ref <embedding_model>
  mean_var_norm_emb: !ref <mean_var_norm_emb>
  classifier: !ref <classifier>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables:
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
    classifier: !ref <classifier>
    label_encoder: !ref <label_encoder>
  paths:
    embedding_model: !ref <pretrained_path>/embedding_model.ckpt
    mean_var_norm_emb: !ref <pretrained_path>/mean_var_norm_emb.ckpt
    classifier: !ref <pretrained_path>/classifier.ckpt
    label_encoder: !ref <pretrained_path>/label_encoder.txt
"""


def make(folder: Path, channels: tuple[int, ...] = (48, 48, 48, 48, 96)) -> None:
    """Write the files; ``folder`` is made. The published network has (512, 512, 512, 512, 1500) channels.

    SpeechBrain must be importable.
    """
    from hyperpyyaml import load_hyperpyyaml

    folder.mkdir(parents=True)
    hyperparams = HYPERPARAMS.replace("CHANNELS", str(list(channels)))
    (folder / "hyperparams.yaml").write_text(hyperparams)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        parts = load_hyperpyyaml(hyperparams)
        for value in parts["embedding_model"].state_dict().values():
            if value.is_floating_point() and value.ndim == 1:
                value.copy_(0.5 + torch.rand_like(value))  # statistics and biases as if it had been trained
        parts["mean_var_norm_emb"](torch.randn(2, 3, 512), torch.ones(2))
    torch.save(parts["embedding_model"].state_dict(), folder / "embedding_model.ckpt")
    torch.save(parts["classifier"].state_dict(), folder / "classifier.ckpt")
    parts["mean_var_norm_emb"]._save(folder / "mean_var_norm_emb.ckpt")
    parts["label_encoder"].update_from_iterable(["id1", "id2"])
    parts["label_encoder"].save(folder / "label_encoder.txt")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "steps" / "libs"))
    from ssdiar.xvectors.speechbrain import _make_torchaudio_importable

    _make_torchaudio_importable()
    make(Path(sys.argv[1]))
