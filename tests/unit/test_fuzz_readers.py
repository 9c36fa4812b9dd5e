"""Whatever bytes a file holds, its reader gives a valid result or an InputError of one line: no traceback, no hang."""

import contextlib
import copy
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora import ldc
from corpora.cabank import read_chat
from ssdiar.base.config import read_config
from ssdiar.base.errors import InputError
from ssdiar.io.ark import XVectors
from ssdiar.io.meta import read_meta
from ssdiar.io.recordings import load_recordings
from ssdiar.io.rttm import read_noscore, read_rttm, read_uem
from ssdiar.io.segmentation import read_segmentation, write_segmentation
from ssdiar.io.tables import read_counts, read_durations, read_map, read_segments, read_wav_scp
from ssdiar.io.transcripts import read_captions, read_ctm, read_json
from ssdiar.report.recordings import read_history
from ssdiar.scoring.score_file import read_score
from ssdiar.timeline.segmentation import Segmentation
from ssdiar.work import Manifest, check
from ssdiar.xvectors.models import ModelConfig

# The same examples in every run of continuous integration; elsewhere new ones each time.
FUZZ = settings(
    max_examples=60,
    deadline=2000,
    database=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
WORDS = [
    "a",
    "a-1",
    "..",
    "-x",
    "../../b",
    "1",
    "0.5",
    "-1",
    "1e999",
    "nan",
    "inf",
    "1_0",
    "9" * 400,
    "<NA>",
    "$(id)",
    "",
]
WORDS += ["SPEAKER", "SPKR-INFO", ";;", "|", "x.ark:7", "x.ark:99999999999999999", "[ 1 2 ]", "*A:", "@Begin", "@End"]
WORDS += ["@Participants:\tA Subject", "*A:\thi \x151_2\x15", "\x15", "\x1599_\x15", "1.0 2.0 A: hi", "1 2 B", "\ufeff"]
LINES = st.lists(st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=6)), max_size=11), max_size=5)
TABLES = st.builds(
    lambda lines, blank, end: end.join(blank.join(words) for words in lines).encode("utf-8", "surrogatepass"),
    LINES,
    st.sampled_from([" ", "\t", "  "]),
    st.sampled_from(["\n", "\r\n", "\n\n", "\x85"]),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["outputs", "inputs", "finished", "iterations", "clusters", "losses", "a.txt", "files"])
            | st.sampled_from(["protocol", "collar", "uem", "recordings", "digest", "outputs", "settings", "jobs"]),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)
JSON_FILES = st.one_of(
    JSON.map(lambda value: json.dumps(value).encode()), st.just(b"[" * 20000), st.binary(max_size=20)
)


def damaged(good):
    """Return a strategy of a file's bytes cut short, or with some bytes replaced."""

    def change(cut, changes):
        data = bytearray(good[: cut if cut is not None else len(good)])
        for place, byte in changes:
            if data:
                data[place % len(data)] = byte
        return bytes(data)

    places = st.tuples(st.integers(0, len(good)), st.integers(0, 255))
    return st.builds(change, st.none() | st.integers(0, len(good)), st.lists(places, max_size=4))


def segmentation_file(folder):
    probabilities = np.full((3, 4, 7), 0.1, np.float16)
    write_segmentation(folder / "good.npz", Segmentation(probabilities, np.array([0, 2, 4]), 0.0, 0.02, 0.2))
    return (folder / "good.npz").read_bytes()


@pytest.fixture(autouse=True, scope="module")
def without_lazy_modules():
    """Hypothesis looks into every loaded module; speechbrain's lazy ones fail when they are looked into."""
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "speechbrain"}
    yield
    sys.modules.update(hidden)


@pytest.fixture
def feed(tmp_path):
    """Return what gives a reader a file with some bytes, and sees to it that nothing else happens."""
    outside = tmp_path / "outside"
    outside.write_text("here")
    folder = tmp_path / "folder"
    folder.mkdir()

    def feed(reader, data, name="file"):
        (folder / name).write_bytes(data)
        before = sorted(path.name for path in folder.iterdir())
        result = None
        try:
            result = reader(folder / name)
        except InputError as error:
            assert str(error).splitlines() and len(str(error).split("\n")) <= 2
        assert sorted(path.name for path in folder.iterdir()) == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "outside"]
        assert outside.read_text() == "here"
        return result

    return feed


@FUZZ
@given(data=TABLES | st.binary(max_size=200))
@pytest.mark.parametrize(
    "reader",
    [
        read_rttm,
        read_uem,
        read_segments,
        read_wav_scp,
        read_durations,
        lambda path: read_map(path, "utterance recording"),
        lambda path: read_counts(path, "sub-segment label"),
        read_chat,
        lambda path: ldc.read_transcript(path, "en_0001"),
        lambda path: read_config(ModelConfig, path, "xvector"),
    ],
)
def test_text(feed, reader, data):
    for row in feed(reader, data) or ():
        if hasattr(row, "start"):
            assert 0 <= row.start < row.end < float("inf")


CUES = st.lists(
    st.sampled_from(
        ["1", "WEBVTT", "NOTE", "", "<v A>hi <00:01.500>ho</v>", "0:00:01,000 --> 00:00:02.000 x", "a --> b"]
    )
).map(lambda lines: "\n".join(lines).encode())
SEGMENTS = st.dictionaries(
    st.sampled_from(["start", "end", "text", "words"]),
    st.floats()
    | st.sampled_from(["a bc", "1", None, 1, 2])
    | st.lists(st.dictionaries(st.sampled_from(["word", "start", "end", "score"]), st.sampled_from(["a", 1, 2, None]))),
)
WHISPER = st.lists(SEGMENTS, max_size=3).map(lambda segments: json.dumps({"segments": segments}).encode())


def check_words(words):
    for word in words or ():
        assert 0 <= word.start <= word.end < float("inf") and word.text and not word.text.isspace()


@FUZZ
@given(data=TABLES | CUES | WHISPER | st.binary(max_size=200))
@pytest.mark.parametrize("reader", [read_ctm, lambda path: read_captions(path, "a"), lambda path: read_json(path, "a")])
def test_transcripts(feed, reader, data):
    check_words(feed(reader, data))


# ---- damaged files: no traceback, and no line is lost without an error


def mangled(good):
    """Return a strategy of a text file with lines lost, repeated, swapped or blank, and with some bytes replaced."""

    def change(edits, ends, changes):
        lines = good.splitlines()
        for kind, at in edits:
            at %= len(lines)
            lines[at : at + 2] = {
                "lose": lines[at + 1 : at + 2],
                "repeat": lines[at : at + 1] + lines[at : at + 2],
                "swap": lines[at : at + 2][::-1],
                "blank": [*lines[at : at + 1], "", *lines[at + 1 : at + 2]],
            }[kind] or [""]
        return (lines, ends, changes)

    def change_bytes(state):
        lines, ends, changes = state
        data = bytearray(ends.join(lines).encode())
        for place, byte in changes:
            if data:
                data[place % len(data)] = byte
        return bytes(data)

    kinds = st.sampled_from(["lose", "repeat", "swap", "blank"])
    edits = st.lists(st.tuples(kinds, st.integers(0, 99)), max_size=4)
    places = st.tuples(st.integers(0, len(good.encode())), st.sampled_from(b"019-:,.> \t\nazN\xff\0"))
    return st.builds(change, edits, st.sampled_from(["\n", "\r\n"]), st.lists(places, max_size=2)).map(change_bytes)


def tokens_of(text):
    return re.findall(r"wort[a-f]", text)


CAPTIONS = "".join(
    f"{number + 1}\n00:00:{start:02},000 --> 00:00:{start + 2:02},500\n{text}\n\n"
    for number, (start, text) in enumerate([(1, "worta wortb"), (4, "42\nwortc"), (8, "wortd"), (59, "worte wortf")])
)
VTT = "WEBVTT\nKind: captions\n\nNOTE no text\n\n" + CAPTIONS.replace("1\n00", "00").replace(",", ".")


@FUZZ
@given(data=mangled(CAPTIONS) | mangled(CAPTIONS.replace("\n\n", "\n")))
def test_damaged_subrip(feed, data):
    words = feed(lambda path: read_captions(path, "a"), data)
    check_words(words)
    if words is not None:
        found = [word.text for word in words]
        assert not [text for text in found if "-->" in text or re.match(r"\d+:\d\d:\d\d[.,]\d{3}", text)]
        assert tokens_of(" ".join(found)) == tokens_of(data.decode())


@FUZZ
@given(data=mangled(VTT) | mangled(VTT.replace("\n\n", "\n")))
def test_damaged_webvtt(feed, data):
    """A line below a blank one and above times is the name of a cue, and what follows WEBVTT or NOTE no cue."""
    words = feed(lambda path: read_captions(path, "a"), data, "file.vtt")
    check_words(words)
    if words is not None:
        text = "\n" + re.sub(r"[ \t\r]+\n", "\n", data.decode())
        text = re.sub(r"\n\s*\n[^\n]+(?=\n\s*-?[\d:.]+ *--> *-?[\d:.]+)", "\n", text)
        text = re.sub(r"\n(WEBVTT|NOTE).*(\n(?!.*-->).+)*", "\n", text)
        assert set(tokens_of(text)) <= set(tokens_of(" ".join(word.text for word in words)))


TIMED = [("worta", 1.0, 1.5), ("wortb", 1.5, 2.0), ("wortc", 4.0, 4.4), ("wortd", 4.5, 5.0)]
WORDS_OF_JSON = [{"word": text, "start": start, "end": end, "score": 0.5} for text, start, end in TIMED]
SEGMENTS_OF_JSON = [
    {"start": 1.0, "end": 2.5, "text": " Hm.", "words": WORDS_OF_JSON[:2]},
    {"start": 4.0, "end": 5.5, "text": " Hm.", "words": WORDS_OF_JSON[2:]},
]
OFFSETS = [{"from": 1000 * start, "to": 1000 * end} for _, start, end in TIMED]
TOKENS = [{"text": f" {text}", "offsets": own, "p": 0.5} for (text, *_), own in zip(TIMED, OFFSETS, strict=True)]
CHUNKS = [{"text": f" {text}", "timestamp": [start, end]} for text, start, end in TIMED]
GOOD_JSON = [
    {"segments": SEGMENTS_OF_JSON, "language": "en"},
    {"segments": [{"start": 1, "end": 2.5, "text": " worta wortb"}, {"start": 4, "end": 5.5, "text": " wortc wortd"}]},
    {"words": WORDS_OF_JSON},
    {
        "words": WORDS_OF_JSON,
        "segments": [{"start": 1, "end": 2, "text": " Hm."}, {"start": 3, "end": 6, "text": " Hm."}],
    },
    {"transcription": [{"offsets": {"from": 1000, "to": 5000}, "text": "", "tokens": TOKENS}]},
    {"chunks": CHUNKS},
    [{"result": WORDS_OF_JSON[:2]}, {"text": ""}, {"result": WORDS_OF_JSON[2:]}],
]


def leaves(value, place=()):
    """Return the places of everything in a JSON value, as keys from the outermost to the innermost."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place] * bool(place) + [one for key, own in inner for one in leaves(own, (*place, key))]


@FUZZ
@given(choose=st.data())
def test_damaged_json(feed, choose):
    """Any value may be another one or, in an object, missing."""
    value = copy.deepcopy(choose.draw(st.sampled_from(GOOD_JSON)))
    others = st.sampled_from([float("nan"), float("inf"), None, -1, -0.1, "x", "", True, 10**400, [], {}, [1], "lose"])
    for _ in range(choose.draw(st.integers(0, 3))):
        *outer, key = choose.draw(st.sampled_from(leaves(value) or [("segments",)]))
        owner, other = value, copy.copy(choose.draw(others))
        for step in outer:
            owner = owner[step]
        if other != "lose":
            owner[key] = other
        elif isinstance(owner, dict):
            owner.pop(key, None)
    data = json.dumps(value).encode()
    words = feed(lambda path: read_json(path, "a"), data)
    check_words(words)
    if words is not None:
        assert set(tokens_of(data.decode())) <= set(tokens_of(" ".join(word.text for word in words)))


@FUZZ
@given(choose=st.data())
def test_json_with_damaged_bytes(feed, choose):
    good = json.dumps(choose.draw(st.sampled_from(GOOD_JSON)))
    check_words(feed(lambda path: read_json(path, "a"), choose.draw(damaged(good.encode()))))


RTTM = ";; a comment\nSPKR-INFO r1 1 <NA> <NA> <NA> unknown A <NA>\n" + "".join(
    f"SPEAKER r{at % 2} 1 {at}.5 2.25 <NA> <NA> wort{'abcdef'[at]} {sure} <NA>\n"
    for at, sure in enumerate(["<NA>", "0.5", "<NA>", "1", "<NA>", "0.25"])
)
RTTM += "NOSCORE r1 1 3 1 <NA> <NA> <NA> <NA>\nLEXEME r1 1 1 0.2 hi lex A <NA> <NA>\n"


@FUZZ
@given(data=mangled(RTTM) | mangled(RTTM.replace(" ", "\t")) | damaged(RTTM.encode()))
def test_damaged_rttm(feed, data):
    turns, noscore = feed(read_rttm, data), feed(read_noscore, data)
    if turns is not None:
        rows = [line.split() for line in data.decode().split("\n")]
        rows = [row for row in rows if row[:1] == ["SPEAKER"] and float(row[4]) > 0]
        assert {(row[1], row[7], float(row[3])) for row in rows} == {
            (one.reco, one.speaker, one.start) for one in turns
        }
    if noscore is not None:
        assert sum(map(len, noscore.values())) == sum(
            line.split()[:1] == ["NOSCORE"] for line in data.decode().split("\n")
        )


UEM = ";; a comment\n" + "".join(f"r{at % 2} 1 {at}.5 {at + 2}.25\n" for at in range(6))


@FUZZ
@given(data=mangled(UEM) | damaged(UEM.encode()))
def test_damaged_uem(feed, data):
    regions = feed(read_uem, data)
    rows = [] if regions is None else [line.split() for line in data.decode().split("\n")]
    for reco, _, start, end in (row for row in rows if row and not row[0].startswith(";;")):
        assert any(first <= float(start) < float(end) <= last for first, last in regions[reco])


CTM = ";; a comment\n" + "".join(f"r1 1 {at}.5 0.25 wort{'abcdef'[at]} 0.{at} lex A\n" for at in range(6))


@FUZZ
@given(data=mangled(CTM) | damaged(CTM.encode()))
def test_damaged_ctm(feed, data):
    words = feed(read_ctm, data)
    check_words(words)
    if words is not None:
        lines = [line.split() for line in data.decode().split("\n") if not line.startswith(";;")]
        expected = {
            (row[4], float(row[2])) for row in lines if row and (row[6:7] or ["lex"])[0] not in ("non-lex", "misc")
        }
        assert {(word.text, word.start) for word in words} == expected


@pytest.mark.parametrize("text", ["a: 2001-99-99", "[" * 9999, "a: !!int x", "? [a]\n: 1", "a: !!python/object:os.x 1"])
def test_odd_yaml(feed, text):
    assert feed(lambda path: read_config(ModelConfig, path, "xvector"), text.encode()) is None


@FUZZ
@given(data=TABLES)
def test_a_data_directory(feed, data):
    for reco, recording in (feed(lambda path: load_recordings(path.parent), data, "wav.scp") or {}).items():
        assert Path(recording.entry).is_file() and "/" not in reco and reco[0] not in ".-"


GOOD_ARK = b"a-1 \0BFV \4\3\0\0\0" + np.arange(3, dtype="<f4").tobytes() + b"a-2  [ 1 2.5 -3e2 ]\n"


@FUZZ
@given(data=damaged(GOOD_ARK) | st.binary(max_size=60), offset=st.integers(0, 40) | st.integers(0, 10**18 - 1))
def test_archives(feed, tmp_path, data, offset):
    def load(path):
        scp = path.parent.parent / "outside"  # any file: read before, written again below
        scp.write_text(f"a-1 {path}:{offset}\n")
        try:
            return XVectors(scp).load(["a-1"])
        finally:
            scp.write_text("here")

    vectors = feed(load, data)
    assert vectors is None or (vectors.dtype == np.float32 and np.isfinite(vectors).all() and vectors.size)


@FUZZ
@given(data=TABLES)
def test_tables_of_archives(feed, data):
    xvectors = feed(XVectors, data)
    if xvectors is not None:
        with contextlib.suppress(InputError):
            xvectors.load(sorted(xvectors.keys()))


@FUZZ
@given(data=JSON_FILES)
def test_json(feed, data):
    meta = feed(lambda path: read_meta(path.parent), data, "meta.json")
    assert meta is None or isinstance(meta, dict)
    feed(read_history, data)
    feed(read_score, data)


@FUZZ
@given(manifest=JSON_FILES, receipt=JSON_FILES)
def test_what_a_run_notes(tmp_path, manifest, receipt):
    """The manifest and a receipt may be anything: the next run plans anew, and what it deletes is its own."""
    out = tmp_path / "out"
    for name, data in (("stage.json", manifest), ("stage/a.json", receipt), ("stage/gone.json", receipt)):
        (out / ".manifest" / name).parent.mkdir(parents=True, exist_ok=True)
        (out / ".manifest" / name).write_bytes(data)
    (tmp_path / "a.txt").write_text("here")
    with contextlib.suppress(InputError):
        check(out / "a.txt")
    with contextlib.suppress(InputError):
        assert not Manifest(out, "stage").settings
    work = Manifest(out, "stage")
    assert work.plan({}, {}, {"a": "1"}) == 1
    with work.done("a") as folder:
        (folder / "a.txt").write_text("done")
    with work.finish() as recordings:
        assert recordings == ["a"]
    check(out / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "here"


def test_a_receipt_cannot_delete_what_is_outside(tmp_path):
    work = Manifest(tmp_path / "out", "stage")
    work.plan({}, {}, {})
    (tmp_path / "mine").write_text("here")
    for number, name in enumerate(["../mine", str(tmp_path / "mine"), "x/../../mine"]):
        receipt = json.dumps({"digest": "1", "files": {name: "0"}})
        (tmp_path / f"out/.manifest/stage/{number}.json").write_text(receipt)
    with work.finish() as recordings:
        assert recordings == []
    assert (tmp_path / "mine").read_text() == "here"


@settings(FUZZ, max_examples=60)
@given(choose=st.data())
def test_segmentations(feed, tmp_path_factory, choose):
    good = segmentation_file(tmp_path_factory.mktemp("good"))
    feed(read_segmentation, choose.draw(damaged(good)))
