"""egs/callhome: small corpora in the exact formats of the three CALLHOMEs become data directories; what is broken in
them is named and leaves nothing half-made."""

import io
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from running import REPO

from ssdiar.io.audio import read_audio
from ssdiar.io.rttm import read_rttm, read_uem
from ssdiar.timeline.spans import Turn

BULLET = "\x15"


def sphere_header(samples, channels, width, coding):
    """Return the header of a NIST SPHERE file."""
    fields = f"sample_count -i {samples}\nsample_n_bytes -i {width}\nchannel_count -i {channels}\n"
    fields += f"sample_byte_format {'-s2 01' if width == 2 else '-s1 1'}\nsample_rate -i 8000\n"
    fields += f"sample_coding -s{len(coding)} {coding}\nend_head\n"
    return f"NIST_1A\n   1024\n{fields}".ljust(1024).encode()


def sphere(path, seconds, channels=2):
    """Write a NIST SPHERE file in mu-law, with a tone in every channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tones = np.array([440, 880])[:channels]
    samples = 0.5 * np.sin(2 * np.pi * tones * np.arange(8000 * seconds)[:, None] / 8000)
    content = io.BytesIO()
    soundfile.write(content, samples, 8000, format="RAW", subtype="ULAW")
    path.write_bytes(sphere_header(len(samples), channels, 1, "ulaw") + content.getvalue())


def shortened(path, samples, coding="pcm", kind=5, width=2):
    """Write a shorten-compressed SPHERE file of (n, channels) whole numbers: version 2, first differences, no mean.

    ``kind`` 5 is 16 bits, low byte first; 8 is mu-law, whose numbers are places in the order of its codes.
    """
    bits = []

    def unary(value, low_bits):
        bits.append("0" * (value >> low_bits) + "1" + (f"{value & 2**low_bits - 1:0{low_bits}b}" if low_bits else ""))

    def number(value):
        unary(value.bit_length(), 2)
        unary(value, value.bit_length())

    for value in (kind, samples.shape[1], 256, 0, 0, 0):
        number(value)
    differences = np.diff(samples, axis=0, prepend=0)
    for start in range(0, len(samples), 256):
        block = differences[start : start + 256]
        if len(block) < 256:
            unary(5, 2)
            number(len(block))
        for side in block.T.tolist():
            unary(1, 2)
            unary(7, 3)
            for value in side:
                unary(2 * value if value >= 0 else -2 * value - 1, 8)
    unary(4, 2)
    text = "".join(bits)
    text += "0" * (-len(text) % 32)
    header = sphere_header(*samples.shape, width, f"{coding},embedded-shorten-v2.00")
    path.write_bytes(header + b"ajkg\x02" + int(text, 2).to_bytes(len(text) // 8, "big"))


def mp3(path, seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = 0.1 * np.sin(2 * np.pi * 300 * np.arange(16000 * seconds) / 16000)
    soundfile.write(path, np.stack([tone, tone], axis=1), 16000, format="MP3")


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


LDC_CALL = """\
#Language: eng
#File id: {id}
#Starting at 2 Ending at 11
# 2 11 #BEGIN

2.00 4.50 A: hello, is this ñandú street?  {{laugh}}
4.30 6.00 B: yes -- %um, this is a long answer that
goes on in another line
6.00 7.25 B: and on
7.10 8.00 B1: [background] who is it?
8.50 8.50 A: (( ))
9.00 11.00 A: me.
"""


@pytest.fixture
def ldc(tmp_path):
    """LDC97S42 and LDC97T14 beside each other; the folder names are LDC's, spelt differently in the two."""
    root = tmp_path / "das Korpus"
    for call, part, seconds in (("en_4065", "train", 20), ("en_4157", "devtest", 20), ("en_6467", "evltest", 12)):
        sphere(root / f"LDC97S42/data/{part}/{call}.sph", seconds)
        folder = part.replace("evltest", "evaltest")
        text = LDC_CALL.format(id=call[3:])
        if call != "en_4065":
            text = text.replace("B1:", "B:")
        write(root / f"LDC97T14/callhome_english_trans_970711/transcrpt/{folder}/{call}.txt", text, "latin-1")
    write(root / "LDC97T14/doc/spkrinfo.txt", "no transcript")
    return root


CHAT_CALL = f"""\
@UTF8
@PID:	11312/t-00001005-1
@Begin
@Languages:	eng
@Participants:	A Subject, B Subject, B1 Subject
@ID:	eng|CallHome|A|||||Subject|||
@Media:	MEDIA, audio
*A:	right . {BULLET}1000_1800{BULLET}
%mor:	adv|right .
*B:	and I &=laughs then {BULLET}1700_2500{BULLET} went
	on . {BULLET}2600_3100{BULLET}
*B1:	oh ? {BULLET}%snd:"MEDIA"_3200_3500{BULLET}
*A:	yeah .
*A:	yeah . {BULLET}3600_4000{BULLET}
@End
"""


@pytest.fixture
def cabank(tmp_path):
    root = tmp_path / "CABank"
    for call in ("0638", "4065"):
        write(root / f"eng/{call}.cha", CHAT_CALL.replace("MEDIA", call))
    mp3(root / "media/0638.mp3", 6)
    soundfile.write(root / "media/4065.wav", np.full(6 * 8000, 0.1), 8000)
    write(root / "media/4065.mp3", "a broken copy that the wav stands before")
    return root


@pytest.fixture
def sre2000(tmp_path):
    root = tmp_path / "NIST"
    counts = {"iaaa": 2, "iaab": 3, "iaac": 2, "iaad": 2}
    for call in counts:
        sphere(root / f"r65_8_1/{call}.sph", 12, channels=1)
    key = root / "sre2000-key"
    turns = [
        f"SPEAKER {call} 0 {s} <NA> <NA> {who} <NA> <NA>"
        for call in counts
        for s, who in (("0 1.08", "B"), ("0.85 1.5", "A"), ("5 0", "A"), ("6.5 2", "B"))
    ]
    turns.append("SPEAKER iaab 0 9 1 <NA> <NA> C <NA> <NA>")
    write(key / "fullref.rttm", "\n".join(turns) + "\n")
    write(key / "reco2num", "".join(f"{call} {count}\n" for call, count in counts.items()))
    regions = ((0, 2.35), (6.5, 8.5))
    write(
        key / "segments",
        "".join(f"{call}_{n:03} {call} {start} {end}\n" for call in counts for n, (start, end) in enumerate(regions)),
    )
    return root


@pytest.fixture
def recipe(repo, tmp_path):
    """Return a function that runs the recipe's data preparation (or its run.sh) from its folder, and the data root."""
    data_root = tmp_path / "data root"

    def run(*args, rc=0, script="local/prepare_data.sh", **environment):
        options = ["--python", sys.executable] if script.startswith("local/") else ["--exp-root", tmp_path / "exp"]
        done = subprocess.run(
            [f"./{script}", "--data-root", data_root, *map(str, options), *map(str, args)],
            cwd=repo / "egs/callhome",
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == rc, done.stderr
        assert "Traceback" not in done.stderr
        assert not [path.name for path in data_root.glob(".*")]
        return done.stderr

    run.data = data_root / "callhome"
    return run


def table(folder, name):
    return dict(line.split(None, 1) for line in (folder / name).read_text().splitlines())


def test_ldc(ldc, recipe, repo):
    log = recipe("--corpus-dir", ldc, "--subset", "all")
    data = recipe.data
    assert "you must hold both" in log
    validate = [repo / "utils/validate_data_dir.sh", "--no-feats", "--no-text", data]
    checked = subprocess.run(validate, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True)
    assert "Successfully validated" in checked.stdout, checked.stderr
    assert "3 recordings (2 with 2 speakers, 1 with 3 speakers)" in log and "0 left out" in log
    assert log.count("WARNING: en_") == 3 and "en_4065: 1 turns that do not end after they start left out" in log
    assert table(data, "wav.scp")["en_6467"] == str(ldc / "LDC97S42/data/evltest/en_6467.sph")
    assert table(data, "reco2dur") == {"en_4065": "20.0000", "en_4157": "20.0000", "en_6467": "12.0000"}
    assert table(data, "reco2num_spk") == {"en_4065": "3", "en_4157": "2", "en_6467": "2"}
    # Turns of a side that touch or overlap are one, those of B and B1 are not; no gap is closed.
    assert [turn for turn in read_rttm(data / "ref.rttm") if turn.reco == "en_4065"] == [
        Turn("en_4065", "A", 2.0, 4.5),
        Turn("en_4065", "B", 4.3, 7.25),
        Turn("en_4065", "B1", 7.1, 8.0),
        Turn("en_4065", "A", 9.0, 11.0),
    ]
    assert [(t.start, t.end) for t in read_rttm(data / "ref.rttm") if t.reco == "en_4157" and t.speaker == "B"] == [
        (4.3, 8.0)
    ]
    assert read_uem(data / "all.uem") == {reco: [(2.0, 11.0)] for reco in table(data, "wav.scp")}
    # The mono mix of both sides is what stages hear.
    mixed, rate = read_audio(table(data, "wav.scp")["en_4065"])
    sides, _ = soundfile.read(table(data, "wav.scp")["en_4065"])
    assert rate == 8000 and sides.shape[1] == 2 and np.abs(sides[:, 0] - sides[:, 1]).max() > 0.5
    assert np.allclose(mixed, sides.mean(axis=1), atol=1e-6)
    assert not (data / "reco2channel").exists()


def test_by_default_the_paper_s_calls_of_two_speakers(ldc, recipe):
    log = recipe("--corpus-dir", ldc)
    assert list(table(recipe.data, "wav.scp")) == ["en_4157", "en_6467"]
    assert "WARNING: en_4065 is left out: 3 speakers (A B B1)" in log
    assert "3 speakers (A B B1)" in table(recipe.data, "left_out")["en_4065"]
    assert "is up to date" in recipe("--corpus-dir", ldc)


def test_crop_takes_the_annotated_minutes_alone(ldc, recipe, tmp_path):
    recipe("--corpus-dir", ldc, "--subset", "all")
    whole = set(read_rttm(recipe.data / "ref.rttm"))
    mixed, rate = read_audio(table(recipe.data, "wav.scp")["en_4065"], start=2.0, end=11.0)
    recipe("--corpus-dir", ldc, "--subset", "all", "--crop", "uem")
    assert table(recipe.data, "reco2offset") == dict.fromkeys(("en_4065", "en_4157", "en_6467"), "2.000")
    assert table(recipe.data, "reco2dur") == dict.fromkeys(("en_4065", "en_4157", "en_6467"), "9.0000")
    assert read_uem(recipe.data / "all.uem")["en_4065"] == [(0.0, 9.0)]
    moved = {
        Turn(t.reco, t.speaker, round(t.start + 2, 3), round(t.end + 2, 3)) for t in read_rttm(recipe.data / "ref.rttm")
    }
    assert moved == whole
    path = recipe.data / "wav/en_4065.flac"
    assert table(recipe.data, "wav.scp")["en_4065"] == str(path)
    cropped, same_rate = read_audio(path)
    assert same_rate == rate and np.abs(cropped - mixed).max() < 1e-4
    recipe("--stage", 2, "--stop-stage", 3, "--sad", "oracle", "--set", "callhome", script="run.sh")
    pieces = [line.split() for line in (tmp_path / "exp/callhome/subsegments/segments").read_text().splitlines()]
    assert (min(float(piece[2]) for piece in pieces), max(float(piece[3]) for piece in pieces)) == (0.0, 9.0)
    recipe("--corpus-dir", ldc, "--subset", "all")
    assert not (recipe.data / "wav").exists()


def test_crop_keeps_the_speech_of_the_key(sre2000, recipe):
    recipe("--corpus-dir", sre2000, "--crop", "uem")
    assert table(recipe.data, "segments")["iaaa_001"] == "iaaa 6.500 8.500"
    assert table(recipe.data, "reco2dur")["iaaa"] == "8.5000"


def test_subset_by_list(ldc, recipe, tmp_path):
    write(tmp_path / "my list", "# calls\nen_4065 2\n6467\nen_9999\n")
    log = recipe("--corpus-dir", ldc, "--subset", tmp_path / "my list")
    assert list(table(recipe.data, "wav.scp")) == ["en_4065", "en_6467"]
    assert "en_9999 is left out: not in the corpus, but in the list" in log


def test_recordings_that_cannot_be_used_are_left_out_and_named(ldc, recipe):
    data, texts = ldc / "LDC97S42/data", ldc / "LDC97T14/callhome_english_trans_970711/transcrpt"
    for number in range(1, 9):
        write(texts / f"train/en_100{number}.txt", LDC_CALL.format(id=f"100{number}"), "latin-1")
    sphere(data / "train/en_1001.sph", 8)
    whole = (data / "train/en_4065.sph").read_bytes()
    write(data / "train/en_1002.sph", whole[: len(whole) // 2].decode("latin-1"), "latin-1")
    write(data / "train/en_1003.sph", "not audio")
    for number in (5, 6, 7, 8):
        shutil.copy(data / "train/en_4065.sph", data / f"train/en_100{number}.sph")
    write(texts / "train/en_1005.txt", "1.0 2.0 A: well\n2.0 3.0 C: who?\n")
    write(texts / "train/en_1006.txt", "<html>\n")
    write(texts / "train/en_1007.txt", "# nobody speaks\n")
    write(texts / "devtest/en_1008.txt", "1.0 2.0 A: again\n")
    sphere(data / "train/en_1009.sph", 2)
    log = recipe("--corpus-dir", ldc, "--subset", "all")
    left_out = table(recipe.data, "left_out")
    assert {reco: log.count(f"WARNING: {reco} is left out: ") for reco in left_out} == dict.fromkeys(left_out, 1)
    assert "3 recordings" in log and "9 left out" in log
    expected = {
        "en_1001": "annotated until 11.00 s, but .*en_1001.sph ends at 8.00 s",
        "en_1002": r"cut off.* 20\.00 s, 9\.97 s decode",
        "en_1003": "cannot be decoded as audio",
        "en_1004": "no audio file",
        "en_1005": r"en_1005.txt:2: no speaker; expected A: or B: \(or A1:, B1: ...\) after the times, got C:",
        "en_1006": "en_1006.txt:1: not a turn; expected <start> <end> A: ..., got <html>",
        "en_1007": "no turns in its annotation",
        "en_1008": "two transcripts: .* and .*",
        "en_1009": "no transcript",
    }
    assert list(left_out) == list(expected)
    for reco, reason in expected.items():
        assert re.search(reason, left_out[reco]), (reco, left_out[reco])


def test_shorten_compressed_audio(ldc, recipe, need, tmp_path):
    """16 bits go through ffmpeg; mu-law, LDC's own form, needs sph2pipe, and the log says so where there is none."""
    need("ffmpeg")
    data = ldc / "LDC97S42/data"
    samples = np.random.default_rng(0).integers(-100, 100, (20 * 8000 + 77, 2)).cumsum(axis=0) // 50
    shortened(data / "train/en_4065.sph", samples)
    shortened(data / "evltest/en_6467.sph", samples[: 12 * 8000] % 128, coding="ulaw", kind=8, width=1)
    without = {"PATH": path_without_sph2pipe(tmp_path / "bin")}
    everything = ("--corpus-dir", ldc, "--subset", "all")
    log = recipe(*everything, **without)
    assert re.search("en_6467 is left out: .*shorten-compressed NIST SPHERE: sph2pipe must be on the PATH", log)
    heard, rate = read_audio(table(recipe.data, "wav.scp")["en_4065"])
    assert rate == 8000 and np.array_equal(np.round(heard * 2**16), samples.sum(axis=1))
    program = tmp_path / "bin/sph2pipe"
    program.write_text(f'#!/bin/sh\necho "$@" >"{tmp_path}/called"\ncp "{tmp_path}/decoded.wav" "$5"\n')
    program.chmod(0o755)
    soundfile.write(tmp_path / "decoded.wav", np.zeros((12 * 8000, 2)), 8000)
    log = recipe(*everything, **without)
    assert "3 recordings" in log and "0 left out" in log
    assert (tmp_path / "called").read_text().startswith(f"-f wav -p {data}/evltest/en_6467.sph ")


def path_without_sph2pipe(folder):
    folder.mkdir()
    tools = "bash sh env dirname basename readlink cat cp getconf sed grep tr"
    for tool in (*tools.split(), "ffmpeg", "ffprobe"):
        (folder / tool).symlink_to(shutil.which(tool))
    return str(folder)


def test_rerun_change_and_another_corpus(ldc, cabank, recipe):
    recipe("--corpus-dir", ldc, "--subset", "all")
    before = {path: path.stat().st_mtime_ns for path in recipe.data.iterdir()}
    assert "is up to date" in recipe("--corpus-dir", ldc, "--subset", "all")
    assert {path: path.stat().st_mtime_ns for path in recipe.data.iterdir()} == before
    assert "is there and is used as it is" in recipe("--stage", 1, "--stop-stage", 1, script="run.sh")
    assert "2 recordings" in recipe("--corpus-dir", ldc, "--subset", 2)
    transcript = next(ldc.rglob("en_4065.txt"))
    transcript.write_bytes(transcript.read_bytes().replace(b"9.00 11.00", b"9.00 10.00"))
    recipe("--corpus-dir", ldc, "--subset", 2)
    assert read_uem(recipe.data / "all.uem")["en_4065"] == [(2.0, 10.0)]
    log = recipe("--corpus-dir", cabank, "--subset", "all", rc=1)
    assert "callhome: is of another corpus; expected cabank, got callhome_english" in log
    assert len(table(recipe.data, "wav.scp")) == 2
    recipe("--corpus-dir", cabank, "--set", "cabank", "--subset", "all")
    assert len(table(recipe.data.parent / "cabank", "wav.scp")) == 2


def test_cabank(cabank, recipe):
    log = recipe("--corpus-dir", cabank, "--subset", "all")
    assert "cabank" in log and "CC BY-NC-SA" in log
    assert "WARNING: en_0638: 1 utterances without times" in log
    audio = table(recipe.data, "wav.scp")
    assert audio == {"en_0638": str(cabank / "media/0638.mp3"), "en_4065": str(cabank / "media/4065.wav")}
    assert [turn for turn in read_rttm(recipe.data / "ref.rttm") if turn.reco == "en_0638"] == [
        Turn("en_0638", "A", 1.0, 1.8),
        Turn("en_0638", "B", 1.7, 2.5),
        Turn("en_0638", "B", 2.6, 3.1),
        Turn("en_0638", "B1", 3.2, 3.5),
        Turn("en_0638", "A", 3.6, 4.0),
    ]
    assert read_uem(recipe.data / "all.uem") == {reco: [(1.0, 4.0)] for reco in audio}
    assert table(recipe.data, "reco2num_spk") == {"en_0638": "3", "en_4065": "3"}


def test_broken_chat_is_left_out_and_named_by_line(cabank, recipe):
    path = cabank / "eng/0638.cha"
    path.write_text(path.read_text().replace("*B1:", "*C:"))
    recipe("--corpus-dir", cabank, "--subset", "all")
    assert re.search("0638.cha:12: unknown participant; expected A B B1, got C", table(recipe.data, "left_out")["0638"])
    assert list(table(recipe.data, "wav.scp")) == ["en_4065"]
    (cabank / "eng/4065.cha").unlink()
    assert "no usable recording of cabank" in recipe("--corpus-dir", cabank, "--set", "other", rc=1)
    assert not (recipe.data.parent / "other").exists()


def test_sre2000(sre2000, recipe):
    log = recipe("--corpus-dir", sre2000)
    data = recipe.data
    assert "LDC2001S97" in log and "4 recordings (3 with 2 speakers, 1 with 3 speakers)" in log
    assert table(data, "reco2num_spk") == {"iaaa": "2", "iaab": "3", "iaac": "2", "iaad": "2"}
    assert [t for t in read_rttm(data / "ref.rttm") if t.reco == "iaaa"] == [
        Turn("iaaa", "B", 0.0, 1.08),
        Turn("iaaa", "A", 0.85, 2.35),
        Turn("iaaa", "B", 6.5, 8.5),
    ]
    assert read_uem(data / "all.uem")["iaab"] == [(0.0, 10.0)]
    assert table(data, "segments")["iaaa_001"] == "iaaa 6.500 8.500"
    halves = []
    for half in ("callhome1", "callhome2"):
        recipe("--corpus-dir", sre2000, "--subset", half, "--set", half)
        halves += table(data.parent / half, "wav.scp")
    assert sorted(halves) == sorted(table(data, "wav.scp"))


def test_what_is_odd_in_the_key_is_named(sre2000, recipe):
    rttm, counts = sre2000 / "sre2000-key/fullref.rttm", sre2000 / "sre2000-key/reco2num"
    extra = "SPEAKER iaac 0 0 102.96 <NA> <NA> B <NA> <NA>\nSPEAKER iaad 0 9 3.5 <NA> <NA> C <NA> <NA>\n"
    rttm.write_text(rttm.read_text() + extra + "SPEAKER izzz 0 0 1 <NA> <NA> A <NA> <NA>\n")
    counts.write_text(counts.read_text() + "ibbb 2\n")
    (sre2000 / "r65_8_1/iaaa.sph").unlink()
    log = recipe("--corpus-dir", sre2000)
    assert "iaad: 2 speakers by reco2num, 3 by fullref.rttm" in log
    assert "iaad: annotated until 12.500 s, cut at the end of the audio, 12.000 s" in log
    left_out = table(recipe.data, "left_out")
    assert left_out["iaaa"] == "no audio file" and "not in" in left_out["ibbb"] and "reco2num" in left_out["izzz"]
    assert "annotated until 102.96 s" in left_out["iaac"]
    rttm.write_text("SPEAKER iaaa 0 zero 1 <NA> <NA> A <NA> <NA>\n")
    log = recipe("--corpus-dir", sre2000, "--set", "broken", rc=1)
    assert "fullref.rttm:1: bad start; expected a finite number of at least 0, got zero" in log
    assert not (recipe.data.parent / "broken").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "expected --corpus-dir"),
        (["--corpus-dir", "/no/where"], "/no/where: no such folder; expected the folder of a corpus"),
        (["--corpus-dir", "EMPTY"], "no known corpus; expected .*, got 1 other files"),
        (["--corpus-dir", "BOTH"], "files of several corpora; .*got callhome_english and cabank\nName it"),
        (
            ["--corpus-dir", "LDC", "--corpus", "callhome"],
            "--corpus: expected auto, callhome_english, cabank or sre2000, got callhome",
        ),
        (["--corpus-dir", "LDC", "--corpus", "sre2000"], "no key; expected fullref.rttm of the key, once"),
        (["--corpus-dir", "LDC", "--corpus", "cabank"], "no usable recording of cabank"),
        (
            ["--corpus-dir", "LDC", "--subset", "ch109"],
            "no such subset or file; expected all, two-speaker, devtest, evl",
        ),
        (["--corpus-dir", "LDC", "--subset", "0"], "no such subset or file"),
        (["--corpus-dir", "LDC", "--subset", "NONE"], "lists no usable recording; expected ids such as en_4065, got "),
        (["--corpus-dir", "LDC", "--set", "a b"], "bad id"),
        (["--corpus-dir", "LDC", "--set", "mine"], "mine: exists and was not made here, so it is not replaced"),
        (["--corpus-dir", "LDC", "--frobnicate", "1"], "unknown option --frobnicate"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(ldc, recipe, tmp_path, args, message):
    write(tmp_path / "empty/notes.txt", "no corpus")
    write(tmp_path / "none", "iaaa\n")
    write(recipe.data.parent / "mine/notes", "not a data directory")
    (tmp_path / "both").mkdir()
    (tmp_path / "both/a").symlink_to(ldc)
    write(tmp_path / "both/x.cha", "@Begin\n")
    places = {"LDC": ldc, "EMPTY": tmp_path / "empty", "BOTH": tmp_path / "both", "NONE": tmp_path / "none"}
    log = recipe(*(places.get(arg, arg) for arg in args), rc=1)
    assert re.search(message, log), log
    assert [path.name for path in recipe.data.parent.iterdir()] == ["mine"]
    assert [path.name for path in (recipe.data.parent / "mine").iterdir()] == ["notes"]


def test_later_stages_go_on_from_the_recipe(ldc, recipe, repo, tmp_path):
    recipe("--corpus-dir", ldc, "--subset", "evltest")
    recipe("--stage", 2, "--stop-stage", 3, "--sad", "oracle", "--set", "callhome", script="run.sh")
    pieces = [line.split() for line in (tmp_path / "exp/callhome/subsegments/segments").read_text().splitlines()]
    assert {piece[1] for piece in pieces} == {"en_6467"}
    assert min(float(piece[2]) for piece in pieces) == 2.0 and max(float(piece[3]) for piece in pieces) == 11.0


def test_run_sh_passes_options_to_the_preparation(ldc, recipe):
    stage = ("--stage", 1, "--stop-stage", 1, "--python", sys.executable)
    recipe(*stage, "--data", f"--corpus-dir '{ldc}' --subset 2 --crop uem", script="run.sh")
    assert list(table(recipe.data, "reco2offset")) == ["en_4065", "en_4157"]
    recipe(*stage, "--set", "home", "--data", "--corpus-dir ~/LDC97S42/.. --subset 1", script="run.sh", HOME=str(ldc))
    assert list(table(recipe.data.parent / "home", "wav.scp")) == ["en_4065"]


def test_the_paper_s_tables_by_one_command(ldc, recipe, tmp_path):
    """Stages 0 to 4 from compressed audio with SpeechBrain's x-vectors, and the tables; nothing trains."""
    samples = np.random.default_rng(0).integers(-2000, 2000, (12 * 8000, 2))
    shortened(ldc / "LDC97S42/data/evltest/en_6467.sph", samples)
    make = [sys.executable, REPO / "tests/data/make_speechbrain_model.py", tmp_path / "the model"]
    subprocess.run(make, check=True, capture_output=True, timeout=300)
    few = ["--systems", "xvector_ahc", "--seeds", "0", "--num-spk", "oracle", "--make", "tables", "--nj", "1"]
    model = ["--xvector", f"speechbrain+source={tmp_path}/the model", "--python", sys.executable]
    log = recipe("--data", f"--corpus-dir '{ldc}'", *model, *few, script="run_paper.sh")
    assert "2 recordings (2 with 2 speakers)" in log
    assert "speechbrain" in (tmp_path / "exp/callhome/paper_speechbrain/table.tsv").read_text()
    meta = json.loads((tmp_path / "exp/callhome/xvectors_speechbrain/meta.json").read_text())
    assert meta["dimension"] == 512


def test_stage_0_looks_for_sph2pipe(recipe, tmp_path):
    without = path_without_sph2pipe(tmp_path / "bin")
    last = ("--stop-stage", 0, "--verbose", 0, "--python", sys.executable)
    assert "WARNING: no sph2pipe on the PATH" in recipe(*last, script="run.sh", PATH=without)
    assert not recipe("--stage", 1, *last, script="run.sh", PATH=without)
    (tmp_path / "bin/sph2pipe").symlink_to(shutil.which("cat"))
    assert not recipe(*last, script="run.sh", PATH=without)


def test_help_and_the_wrong_folder(repo):
    script = repo / "egs/callhome/local/prepare_data.sh"
    done = subprocess.run([script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "two-speaker" in done.stdout
    done = subprocess.run([repo / "egs/callhome/run.sh"], cwd=repo, capture_output=True, text=True)
    assert done.returncode == 1 and "is not this recipe's folder" in done.stderr
