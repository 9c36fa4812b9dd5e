"""Audio in memory: all forms that people have give the same samples; anything else, an error that says what to give."""

import io
import os
import tempfile
import threading

import numpy as np
import pytest
import soundfile

from ssdiar import diarize
from ssdiar.base.errors import InputError
from ssdiar.io.memory import samples_of

RATE = 8000
MONO = np.sin(np.arange(4000) / 9) * 0.5
STEREO = np.stack([MONO, -0.5 * MONO], axis=1)


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        ((MONO, RATE), MONO[:, None]),
        ((MONO.tolist(), np.float64(RATE)), MONO[:, None]),
        ([MONO[None], float(RATE)], MONO[:, None]),
        ((STEREO, np.int64(RATE)), STEREO),
        ((STEREO.T.astype(np.float16), RATE), STEREO),
        (((STEREO * 2**15).astype(np.int16), RATE), STEREO),
        (((STEREO * 2.0**31).astype(np.int32), RATE), STEREO),
        (((STEREO * 2**7).astype(np.int8), RATE), STEREO),
        (((STEREO * 2**7 + 128).astype(np.uint8), RATE), STEREO),
        ({"waveform": STEREO.T, "sample_rate": RATE, "uri": "x"}, STEREO),
    ],
)
def test_forms_of_samples(audio, expected):
    samples, rate = samples_of(audio)
    assert (samples.dtype, type(rate), rate) == (np.float32, int, RATE)
    np.testing.assert_allclose(samples, expected, atol=0.01)


def test_tensors(need_module):
    torch = need_module("torch")
    for dtype in (torch.float32, torch.float64):
        tensor = torch.tensor(STEREO.T, dtype=dtype, requires_grad=True)
        np.testing.assert_allclose(samples_of((tensor, RATE))[0], STEREO, atol=1e-6)
    with pytest.raises(InputError, match="bad samples; expected an array of numbers, got Tensor"):
        samples_of((torch.zeros(9, dtype=torch.bfloat16), RATE))


WRONG = [
    (None, "bad audio; expected a path, bytes, .*waveform.*, got NoneType"),
    (7, "bad audio; .*got int"),
    ({"waveform": MONO}, "bad audio; .*got dict"),
    (MONO, "bad audio; expected .*samples, rate.*, got ndarray"),
    ((MONO, RATE, 1), "bad audio; .*got tuple"),
    ((RATE, MONO), r"expected \(samples, rate\), got \(rate, samples\)"),
    ((MONO, 0), "bad rate; expected a whole number of Hz from 1000 to 1000000, got 0"),
    ((MONO, 8000.5), "bad rate; .*8000.5"),
    ((MONO, None), "bad rate"),
    ((MONO, "8000"), "bad rate"),
    ((MONO, float("nan")), "bad rate"),
    ((MONO[None, None], RATE), r"expected shape \(n,\), .*got 1x1x4000"),
    ((np.zeros((70, 80)), RATE), "at most 64 channels, got shape 70x80"),
    ((MONO[:0], RATE), "no samples; expected audio, got shape 0"),
    (([[1.0], [1.0, 2.0]], RATE), "expected an array of numbers, got list"),
    ((["a"], RATE), "8, 16 or 32 bits, got <U1"),
    ((MONO.astype(np.int64), RATE), "integers of 8, 16 or 32 bits, got int64"),
    ((MONO > 0, RATE), "got bool"),
    ((MONO * (1 + 0j), RATE), "got complex128"),
    ((np.where(np.arange(4000) == 7, np.nan, MONO), RATE), "sample 7 is not a finite number"),
    (b"", "audio: empty file"),
    (b"Dear diary", "audio: cannot be decoded as audio"),
    (io.StringIO("x"), "expected a file opened with mode 'rb'"),
]


@pytest.fixture
def set_aside(monkeypatch):
    """The temporary folders that were made."""
    made, make = [], tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", lambda *args, **options: made.append(make(*args, **options)) or made[-1])
    return made


@pytest.mark.parametrize(("audio", "message"), WRONG)
def test_anything_else_says_what_to_give(audio, message, set_aside):
    with pytest.raises(InputError, match=message) as caught:
        diarize(audio)
    assert not any(place in str(caught.value) for place in set_aside)


@pytest.mark.parametrize(
    "option",
    [
        *({"num_spk": value} for value in (0, -1, 2.5, True, "two", "3-2", [2])),
        *({"system": value} for value in (None, 3, "besst", "best+count.most=x")),
        *({"xvector": value} for value in (1, "campplus+device=gpu")),
        *({"sad": value} for value in (None, "pyannote+device=tpu")),
        *({"seed": value} for value in (-1, 0.5, "a", None)),
        *({"threads": value} for value in (0, 1.5)),
        *({"channels": value} for value in (0, 2, "left", None, 1.5)),
        {"turns": "open"},
        {"recording": 5},
        {"recording": "a b"},
    ],
    ids=str,
)
def test_bad_options(option, set_aside):
    with pytest.raises(InputError) as caught:
        diarize((MONO, RATE), **option)
    assert not any(place in str(caught.value) for place in set_aside)


def test_bytes_and_open_files(tmp_path):
    soundfile.write(tmp_path / "a call.wav", STEREO, RATE)
    data = (tmp_path / "a call.wav").read_bytes()
    with open(tmp_path / "a call.wav", "rb") as stream:
        results = [diarize(stream), diarize(stream), diarize(data), diarize(io.BytesIO(data))]
    assert [result.recording for result in results] == ["a_call", "a_call", "audio", "audio"]
    assert {(result.duration, len(result.turns), result.file) for result in results} == {(0.5, 1, None)}


def test_pipes(tmp_path):
    soundfile.write(tmp_path / "x.wav", MONO, RATE)
    os.mkfifo(tmp_path / "pipe.wav")
    writer = threading.Thread(target=(tmp_path / "pipe.wav").write_bytes, args=[(tmp_path / "x.wav").read_bytes()])
    writer.start()
    result = diarize(tmp_path / "pipe.wav", num_spk=3)
    writer.join()
    assert (result.recording, result.duration) == ("pipe", 0.5)
    assert result.remarks == ("3 speakers are asked for, 1 found: it has too little speech",)
