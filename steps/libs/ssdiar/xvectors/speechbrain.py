"""The paper's x-vectors (512-d): SpeechBrain's TDNN with statistics pooling, trained on VoxCeleb 1 and 2.

The model comes from the Hugging Face hub, or from a local folder laid out as its hub repository is. Imports torch,
torchaudio and speechbrain.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from ssdiar.base.errors import InputError
from ssdiar.xvectors.models import Grid, ModelConfig, XVectorModel, equal_length_batches, reason

_WEIGHTS_FILE = "embedding_model.ckpt"
_GIT_LFS = b"version https://git-lfs"
_HARMLESS = "tags !ref, !tuple, and !new or !name of speechbrain and torch.nn"
_HARMLESS_TAG = re.compile(
    r"!|!(ref|copy|tuple|list|PLACEHOLDER)|tag:yaml\.org,2002:\w+|!(new|name):(torch\.nn|speechbrain"
    r"\.(lobes|processing|nnet|dataio\.encoder|utils\.parameter_transfer))\.[\w.]+"
)
_SHORTEST = 480  # samples: the reflected edges of the convolutions need 4 frames
_LENGTH_STEP = 800  # samples: lengths are rounded to 50 ms, so that odd tails share batches


class SpeechBrainXVector(XVectorModel):
    """SpeechBrain's EncoderClassifier, fed with batches of equal length so that nothing is padded."""

    def __init__(self, config: ModelConfig, folder: Path | None) -> None:
        _make_torchaudio_importable()
        from speechbrain.inference.classifiers import EncoderClassifier
        from speechbrain.utils.fetching import FetchConfig

        with tempfile.TemporaryDirectory(prefix="ssdiar.") as temporary:
            source, overrides = config.source, {}
            if folder is not None:
                # Under a name of its own: in hyperparams.yaml a path is a value with a syntax.
                source = f"{temporary}/source"
                Path(source).symlink_to(folder)
                # Without this, hyperparams.yaml sends even a local copy back to the hub for its weights.
                overrides = {"pretrained_path": source}
            self._encoder = EncoderClassifier.from_hparams(
                source=source,
                savedir=f"{temporary}/model",
                overrides=overrides,
                overrides_must_match=False,
                fetch_config=FetchConfig(allow_network=folder is None),
                run_opts={"device": config.device},
            )
            weights = Path(temporary) / "model" / _WEIGHTS_FILE
            sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
        with torch.inference_mode():
            dimension = self._encoder.encode_batch(torch.zeros(1, _SHORTEST)).shape[-1]
        super().__init__(config, sha256, dimension)

    def embed(
        self,
        samples: np.ndarray,
        times: np.ndarray,
        bounds: np.ndarray | None = None,
        origin: int = 0,
        level: np.ndarray | None = None,
    ) -> np.ndarray:
        """See :meth:`XVectorModel.embed`.

        The statistics pooling adds noise of 1e-5 even in evaluation; it is seeded per recording, so that two runs are
        bit-equal.
        """
        samples = np.pad(samples, (0, max(0, _SHORTEST - len(samples))))
        rate = self.config.sample_rate
        shortest = max(_SHORTEST, int(self.config.min_duration * rate))
        first, lengths = Grid(rate, len(samples), shortest, _LENGTH_STEP, origin).place(times, bounds)
        vectors = np.empty((len(times), self.config.dimension), np.float32)
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(0)
            for batch in equal_length_batches(lengths, self.config.together):
                windows = samples[first[batch, None] + np.arange(lengths[batch[0]])]
                vectors[batch] = self._encoder.encode_batch(torch.from_numpy(windows)).squeeze(1).cpu().numpy()
        return vectors


def load(config: ModelConfig) -> SpeechBrainXVector:
    """Load the model from the hub, or from a folder with the files of its hub repository.

    Raises:
        InputError: The hub cannot be reached, the folder does not hold the model, or the device cannot be used.
    """
    folder = config.folder()
    if folder is not None:
        for name in ("hyperparams.yaml", _WEIGHTS_FILE):
            if not (folder / name).is_file():
                raise InputError(f"no {name}", path=folder, expected="a copy of the model's hub repository")
        _check_hyperparams(folder / "hyperparams.yaml")
        with open(folder / _WEIGHTS_FILE, "rb") as stream:
            if stream.read(len(_GIT_LFS)) == _GIT_LFS:
                raise InputError(
                    "is a pointer of git-lfs, not the weights",
                    path=folder / _WEIGHTS_FILE,
                    hint="Get the files themselves: git lfs pull, in that folder.",
                )
        return SpeechBrainXVector(config, folder)
    try:
        return SpeechBrainXVector(config, None)
    except InputError:
        raise
    except Exception as error:  # requests, httpx, huggingface_hub and speechbrain each have errors of their own
        raise InputError(
            f"cannot get the model {config.source} from the Hugging Face hub",
            got=reason(error),
            hint="Either make the hub reachable once (it is cached), or give a local copy of the repository: --xvector "
            "speechbrain+source=DIR; --xvector campplus is another model that needs no hub.",
        ) from error


def _check_hyperparams(path: Path) -> None:
    """Raise InputError if a hyperparams.yaml would make speechbrain build or call anything but layers and the like."""
    import yaml

    for event in yaml.parse(path.read_text(encoding="utf-8"), yaml.SafeLoader):
        tag = getattr(event, "tag", None)
        if tag is not None and not _HARMLESS_TAG.fullmatch(tag):
            line = event.start_mark.line + 1
            raise InputError("names code that no model needs", path=path, line=line, expected=_HARMLESS, got=tag)


def _make_torchaudio_importable() -> None:
    """Let torchaudio's CUDA build be imported beside a CPU build of torch.

    PyPI has no CPU build of torchaudio for the newest torch. Its compiled extension then fails to load, but nothing
    that SpeechBrain uses needs that extension; torchaudio asks this module whether it is there.
    """
    name = "torchaudio._extension"
    if torch.version.cuda is not None or name in sys.modules:
        return
    try:
        import torchaudio  # noqa: F401
    except OSError:
        for module in [module for module in sys.modules if module.split(".")[0] == "torchaudio"]:
            del sys.modules[module]
        stand_in = ModuleType(name)
        stand_in._IS_TORCHAUDIO_EXT_AVAILABLE = False
        stand_in._IS_ALIGN_AVAILABLE = False
        stand_in._check_cuda_version = lambda: None
        stand_in.fail_if_no_align = lambda function: function
        sys.modules[name] = stand_in
