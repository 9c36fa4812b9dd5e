"""cluster_ssl.sh as users call it, on made x-vectors: results, reruns, odd recordings, other toolkits, bad input."""

import json
import os
import shutil

import numpy as np
import pytest
from running import DIAR, run_script

from ssdiar.io.ark import write_xvector_scp, write_xvectors
from ssdiar.io.segmentation import write_segmentation
from ssdiar.io.tables import write_segments
from ssdiar.timeline.segmentation import Segmentation
from ssdiar.timeline.spans import Segment

DIMENSION = 12
SIZES = {"a": 40, "b.x": 25, "c-1": 8}


def speakers(size, seed, number=2):
    """Vectors (size, DIMENSION) of speakers who take turns of three pieces, and who each is."""
    rng = np.random.default_rng(seed)
    truth = np.arange(size) // 3 % number
    return rng.standard_normal((number, DIMENSION))[truth] + 0.2 * rng.standard_normal((size, DIMENSION)), truth


def piece_ids(reco, size):
    return [f"{reco}-{75 * i:07d}-{75 * (i + 1):07d}" for i in range(size)]


def make(folder, vectors):
    """Write an x-vector directory of vectors (S, D) per recording, one archive each."""
    folder.mkdir(parents=True, exist_ok=True)
    segments, places = [], {}
    for reco, rows in vectors.items():
        ids = piece_ids(reco, len(rows))
        segments += [Segment(key, reco, 0.75 * i, 0.75 * (i + 1)) for i, key in enumerate(ids)]
        ark = folder / f"xvector.{reco}.ark"
        places |= {key: (ark, place) for key, place in write_xvectors(ark, dict(zip(ids, rows, strict=True))).items()}
    write_segments(folder, segments)
    write_xvector_scp(folder / "xvector.scp", places)


def write_heard(folder, sizes, talkers):
    """Write segmentations in which the network hears speakers 0 and 1 take turns of three pieces, or one alone."""
    folder.mkdir()
    for reco, size in sizes.items():
        frames = round(0.75 * size / 0.025)
        probabilities = np.zeros((1, frames, 7), np.float16)
        who = np.arange(frames) * 0.025 // 0.75 // 3 % talkers
        probabilities[0, np.arange(frames), 1 + who.astype(int)] = 1
        heard = Segmentation(probabilities, np.array([0]), 0.0, 0.025, 0.75 * size)
        write_segmentation(folder / f"{reco}.npz", heard)


@pytest.fixture
def work(tmp_path):
    """A folder with an x-vector directory `x vectors` of three recordings of two speakers."""
    root = tmp_path / "qui è là"
    make(root / "x vectors", {reco: speakers(size, i)[0] for i, (reco, size) in enumerate(SIZES.items())})
    return root


def run(work, *args, rc=0, system="xvector_ahc", script=DIAR / "cluster_ssl.sh"):
    return run_script(script, *(["--system", system] if system else []), *args, cwd=work, rc=rc)


def labels(work, out="out"):
    """The label of every sub-segment, checked for order and form."""
    lines = (work / out / "labels").read_text().splitlines()
    assert lines == sorted(lines)
    return {key: int(label) for key, label in (line.split() for line in lines)}


def logs(work, out="out"):
    return "".join(path.read_text() for path in sorted((work / out / "log").glob("*.log")))


def redone(work, out="out"):
    """The recordings that the last run's logs tell of."""
    return [reco for reco in SIZES if f"cluster_ssl.sh: {reco}: " in logs(work, out)]


def history(work, reco, out="out"):
    return json.loads((work / out / "history" / f"{reco}.json").read_text())


def test_every_label_of_best_has_a_probability_and_other_systems_leave_none(work):
    run(work, "--num-spk", "2", "--nj", "2", "x vectors", "out", system="best")
    lines = [line.split() for line in (work / "out/sure").read_text().splitlines()]
    assert [key for key, _ in lines] == list(labels(work))
    assert all(0 < float(share) < 1 for _, share in lines)
    meta = json.loads((work / "out/meta.json").read_text())
    assert meta["second_sure"] == meta["system_options"]["sure"]["second"]
    assert history(work, "a")["sure"] > 0.9
    before = (work / "out/sure").read_text()
    run(work, "--num-spk", "2", "--nj", "1", "--overwrite", "true", "x vectors", "out", system="best")
    assert (work / "out/sure").read_text() == before
    run(work, "x vectors", "out")
    assert not (work / "out/sure").exists()
    assert not list((work / "out/parts").glob("*.sure"))
    assert "second_sure" not in json.loads((work / "out/meta.json").read_text())


def test_best_says_how_sure_it_is_and_listens_to_the_segmentation(work):
    run(work, "--num-spk", "estimate", "x vectors", "out", system="best")
    assert [history(work, reco)["num_spk"] for reco in ("a", "b.x")] == [2, 2]
    alone = history(work, "a")["num_spk_probabilities"]
    assert sum(alone.values()) == pytest.approx(1, abs=1e-3)
    meta = json.loads((work / "out/meta.json").read_text())
    assert meta["num_spk"]["a"] == {"number": 2, "probability": alone["2"]}
    probabilities = {}
    for talkers in (1, 2):
        shutil.rmtree(work / "heard", ignore_errors=True)
        write_heard(work / "heard", SIZES, talkers)
        run(work, "--num-spk", "estimate", "--segmentation", "heard", "x vectors", "out", system="best")
        assert redone(work) == (list(SIZES))
        probabilities[talkers] = history(work, "a")["num_spk_probabilities"]["2"]
    assert probabilities[2] > probabilities[1]


def test_numbers_from_a_file_and_limits(work):
    (work / "numbers").write_text("a 3\nc-1 20\n")
    done = run(work, "--num-spk", "numbers", "x vectors", "out", system="best")
    assert "numbers: no number for 1 of 3 recordings, the first is b.x" in done.stderr
    assert "1 recordings have fewer sub-segments than speakers, the first is c-1, which gets" in done.stderr
    meta = json.loads((work / "out/meta.json").read_text())
    assert {reco: found["number"] for reco, found in meta["num_spk"].items()} == {"a": 3, "b.x": 2, "c-1": 8}
    assert meta["num_spk_source"] == "numbers (given)"
    run(work, "--num-spk", "4-9", "x vectors", "out", system="best")
    meta = json.loads((work / "out/meta.json").read_text())
    assert all(found["number"] >= 4 for found in meta["num_spk"].values())
    assert meta["num_spk_source"] == "estimated, 4 to 9"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--num-spk", "3-2"), "--num-spk"),
        (("--num-spk", "2-"), "--num-spk"),
        (("--num-spk", "nowhere"), "--num-spk"),
        (("--num-spk", "0"), "--num-spk"),
    ],
)
def test_bad_numbers_of_speakers(work, options, words):
    done = run(work, *options, "x vectors", "out", rc=1)
    assert "cluster_ssl.sh: error: " in done.stderr and words in done.stderr
    assert not (work / "out").exists()


def test_a_segmentation_that_is_missing_or_of_no_use(work):
    write_heard(work / "heard", SIZES, 2)
    run(work, "--segmentation", "heard", "x vectors", "out")
    run(work, "x vectors", "out")
    assert "nothing to do" in run(work, "--segmentation", "heard", "x vectors", "out").stderr
    (work / "heard/a.npz").unlink()
    for number in ("2", "estimate"):
        done = run(work, "--num-spk", number, "--segmentation", "heard", "x vectors", "new", rc=1, system="best")
        assert "cluster_ssl.sh: error: heard/a.npz: no such file" in done.stderr
        assert not (work / "new").exists()


def test_finds_the_speakers_and_says_how(work):
    run(work, "--nj", "2", "x vectors", "out")
    found = labels(work)
    for i, (reco, size) in enumerate(SIZES.items()):
        truth = speakers(size, i)[1]
        assert [found[key] for key in piece_ids(reco, size)] == (truth + 1).tolist()
    assert len(found) == sum(SIZES.values())
    told = history(work, "b.x")
    assert (told["recording"], told["num_spk"], told["clusters"], told["sub_segments"]) == ("b.x", 2, 2, 25)
    assert told["seed"] == 0 and told["stop_reason"] and told["options"]["method"] == "ahc"
    meta = json.loads((work / "out/meta.json").read_text())
    assert (meta["system"], meta["num_spk_source"], meta["speech_source"]) == ("xvector_ahc", "2 (given)", "as given")
    assert meta["xvector_model"] == f"unknown ({work / 'x vectors'})"
    assert not list((work / "out").glob(".tmp.*"))


def test_training_depends_on_nothing_but_the_recording(work):
    """One test for all that trains: TensorFlow takes seconds to start."""
    (work / "small.yaml").write_text(
        "description: few epochs\nmethod: ssl\nencoder: {heads: 2, key_dim: 8, dimension: 4}\ntrain: {max_epochs: 20}\n"
        "stop: {max_iterations: 3}\n"
    )
    vectors = {reco: speakers(size, i)[0] for i, (reco, size) in enumerate(SIZES.items())}
    del vectors["c-1"]
    make(work / "x vectors", vectors)
    run(work, "--nj", "1", "x vectors", "one", system="small.yaml")
    make(work / "other", {"z": vectors["a"][:1], "b.x": vectors["b.x"]})
    for name in ("segments", "xvector.scp", "utt2spk"):
        lines = (work / "other" / name).read_text().splitlines(keepends=True)
        (work / "other" / name).write_text("".join(reversed(lines)))
    (work / "diar").symlink_to(DIAR)
    run(work, "--nj", "3", "other", "two", system="small.yaml", script=work / "diar/cluster_ssl.sh")
    one, two = labels(work, "one"), labels(work, "two")
    assert {key: one[key] for key in piece_ids("b.x", 25)} == {key: two[key] for key in piece_ids("b.x", 25)}
    assert two[piece_ids("z", 1)[0]] == 1
    told, other = history(work, "b.x", "one"), history(work, "b.x", "two")
    assert [step["losses"] for step in told["iterations"]] == [step["losses"] for step in other["iterations"]]
    for i, (reco, size) in enumerate([("a", 40), ("b.x", 25)]):
        found = np.array([one[key] for key in piece_ids(reco, size)]) - 1
        assert np.mean(found == speakers(size, i)[1]) > 0.9


def test_nj_and_order_have_no_say(work):
    run(work, "--nj", "1", "x vectors", "one")
    scp = work / "x vectors/xvector.scp"
    scp.write_text("".join(reversed(scp.read_text().splitlines(keepends=True))))
    run(work, "--nj", "9", "x vectors", "nine")
    for name in ("labels", "meta.json"):
        assert (work / "one" / name).read_bytes() == (work / "nine" / name).read_bytes()


def test_a_rerun_does_what_is_missing_or_changed(work):
    run(work, "--nj", "1", "x vectors", "out")
    before = {path: path.stat().st_mtime_ns for path in (work / "out").rglob("*") if path.suffix != ".log"}
    wanted = (work / "out/labels").read_bytes()
    again = run(work, "--nj", "1", "x vectors", "out")
    assert "cluster_ssl.sh: nothing to do: all" in again.stderr
    changed = [path for path, stamp in before.items() if path.is_file() and path.stat().st_mtime_ns != stamp]
    own = ("lock", "cluster_ssl.json")
    assert [path.name for path in changed if path.name not in own] == []
    (work / "out/parts/b.x.labels").unlink()
    run(work, "--nj", "1", "x vectors", "out")
    assert redone(work) == ["b.x"]
    (work / "out/parts/a.labels").write_text("a-0000000-0000075 1\n")
    (work / "out/history/b.x.json").unlink()
    (work / "out/.manifest/cluster_ssl/c-1.json").write_text("{")
    (work / "out/.left.tmp").mkdir()
    run(work, "--nj", "1", "x vectors", "out")
    assert redone(work) == list(SIZES)
    assert (work / "out/labels").read_bytes() == wanted
    assert not (work / "out/.left.tmp").exists()
    (work / "out/labels").unlink()
    run(work, "x vectors", "out")
    assert (work / "out/labels").read_bytes() == wanted


def test_a_changed_option_or_input_redoes_what_it_concerns(work):
    run(work, "--nj", "1", "x vectors", "out")
    run(work, "--nj", "1", "--seed", "1", "x vectors", "out")
    assert redone(work) == list(SIZES)
    (work / "counts").write_text("a 2\nb.x 3\nc-1 2\n")
    run(work, "--nj", "1", "--seed", "1", "--num-spk", "oracle", "--reco2num-spk", "counts", "x vectors", "out")
    assert redone(work) == ["b.x"]
    assert set(labels(work).values()) == {1, 2, 3}
    assert json.loads((work / "out/meta.json").read_text())["num_spk_source"] == "oracle"
    run(work, "--nj", "1", "--seed", "1", "--overwrite", "true", "x vectors", "out")
    assert redone(work) == list(SIZES)
    vectors = {reco: speakers(size, i)[0] for i, (reco, size) in enumerate(SIZES.items())}
    make(work / "x vectors", vectors | {"c-1": vectors["c-1"][::-1]})
    run(work, "--nj", "1", "--seed", "1", "x vectors", "out")
    assert redone(work) == ["c-1"]
    make(work / "x vectors", {"a": vectors["a"], "c-1": vectors["c-1"][::-1]})
    assert "nothing to do" in run(work, "--seed", "1", "x vectors", "out").stderr
    assert {key[0] for key in labels(work)} == {"a", "c"}
    assert not list((work / "out").rglob("b.x*"))


def test_valid_but_odd(work):
    rng = np.random.default_rng(0)
    row = rng.standard_normal((1, DIMENSION))
    odd = {
        "one": row,
        "twins": np.repeat(row, 2, axis=0),
        "same": np.repeat(row, 30, axis=0),
        "zero": np.zeros((5, DIMENSION)),
        "few": rng.standard_normal((3, DIMENSION)),
        "pair": np.vstack([speakers(10, 1)[0], speakers(10, 1)[0][:1]]),
    }
    make(work / "odd", odd)
    # A recording of which no sub-segment was made; spk2utt and utt2spk are optional.
    (work / "odd/reco2num_spk").write_text("".join(f"{reco} 4\n" for reco in [*odd, "silent"]))
    (work / "odd/spk2utt").unlink()
    (work / "odd/utt2spk").unlink()
    count = ["--num-spk", "oracle", "--reco2num-spk", "odd/reco2num_spk"]
    for system, options in (
        ("xvector_ahc", count),
        ("xvector_ahc", ["--num-spk", "estimate"]),
        ("", ["--num-spk", "4"]),
    ):
        run(work, "--nj", "1", "--overwrite", "true", *options, "odd", "out", system=system)
        found = labels(work)
        for reco, rows in odd.items():
            given = [found[key] for key in piece_ids(reco, len(rows))]
            assert given[0] == 1 and set(given) == set(range(1, max(given) + 1)), "numbered in order of time"
            assert len(set(given)) <= (8 if "estimate" in options else 4)
        assert len(found) == sum(map(len, odd.values()))
        assert not (work / "out/history/silent.json").exists()
        assert found[piece_ids("pair", 11)[0]] == found[piece_ids("pair", 11)[10]], "equal vectors, one speaker"


def test_no_recordings_at_all(work):
    make(work / "none", {})
    assert "nothing to do" in run(work, "none", "out").stderr
    assert (work / "out/labels").read_text() == ""


def test_x_vectors_of_others(work):
    """A text archive of Kaldi, one for all; no utt2spk; places relative to the current folder."""
    run(work, "x vectors", "ours")
    kaldi = work / "kaldi"
    kaldi.mkdir()
    shutil.copy(work / "x vectors/segments", kaldi)
    text, places = "", []
    for i, (reco, size) in enumerate(SIZES.items()):
        for key, row in zip(piece_ids(reco, size), speakers(size, i)[0], strict=True):
            text += f"{key} "
            places.append(f"{key} kaldi/xvector.1.txt:{len(text)}\n")
            text += f" [ {' '.join(f'{number:.7g}' for number in row)} ]\n"
    (kaldi / "xvector.1.txt").write_text(text)
    (kaldi / "xvector.scp").write_text("".join(places))
    run(work, "kaldi", "out")
    assert labels(work) == labels(work, "ours")


def replace_line(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def make_nan(folder):
    rows = speakers(8, 2)[0]
    rows[3, 1] = np.nan
    write_xvectors(folder / "xvector.c-1.ark", dict(zip(piece_ids("c-1", 8), rows, strict=True)))


def make_other_dimension_in_a_recording(folder):
    rows = dict(zip(piece_ids("c-1", 8), speakers(8, 2)[0], strict=True))
    rows[piece_ids("c-1", 8)[7]] = np.ones(DIMENSION + 1)
    write_xvectors(folder / "xvector.c-1.ark", rows)


def make_other_dimension_of_a_recording(folder):
    ids = piece_ids("c-1", 8)
    offsets = write_xvectors(folder / "xvector.c-1.ark", {key: np.ones(5) for key in ids})
    lines = [line for line in (folder / "xvector.scp").read_text().splitlines(keepends=True) if line[0] != "c"]
    lines += [f"{key} {folder}/xvector.c-1.ark:{offset}\n" for key, offset in offsets.items()]
    (folder / "xvector.scp").write_text("".join(lines))


def lose_xvectors(folder, *keys):
    lines = (folder / "xvector.scp").read_text().splitlines(keepends=True)
    (folder / "xvector.scp").write_text("".join(line for line in lines if line.split()[0] not in keys))


@pytest.mark.parametrize("system", ["xvector_ahc", "best"])
def test_pieces_without_an_x_vector_get_the_label_of_the_nearest(work, system):
    """As Kaldi's extractor leaves those that are too short for it; a recording without any gets one speaker."""
    ids = {reco: piece_ids(reco, size) for reco, size in SIZES.items()}
    lost = [ids["a"][0], ids["a"][7], ids["a"][8]]
    lose_xvectors(work / "x vectors", *lost, *ids["c-1"])
    replace_line(work / "x vectors/utt2spk", f"{lost[0]} a\n", "")
    log = run(work, "--num-spk", "2", "x vectors", "out", system=system).stderr
    assert f"WARNING: x vectors/xvector.scp: 11 of 73 sub-segments have no x-vector, the first is {lost[0]}" in log
    assert "no x-vector of 1 recordings, the first is c-1" in log
    found = labels(work)
    assert found.keys() == {key for own in ids.values() for key in own}
    assert [found[key] for key in lost] == [found[ids["a"][at]] for at in (1, 6, 9)]
    assert {found[key] for key in ids["c-1"]} == {1}
    run_script(DIAR / "make_rttm.sh", "x vectors", "out", cwd=work)
    turns = [line.split() for line in (work / "out/rttm").read_text().splitlines()]
    assert sum(float(turn[4]) for turn in turns) == pytest.approx(0.75 * 73, abs=0.01)
    if system == "best":
        assert [turn[8] for turn in turns if turn[1] == "c-1"] == ["0.000"]


LAST = piece_ids("c-1", 8)[7]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (make_nan, f"xvector.scp:69: x-vector of sub-segment {piece_ids('c-1', 8)[3]}: vector is not finite; expected"),
        (
            make_other_dimension_in_a_recording,
            f"xvector.scp:73: x-vector of sub-segment {LAST}: another dimension; exp",
        ),
        (make_other_dimension_of_a_recording, "xvector.scp: x-vectors of recording c-1 have another dimension"),
        (
            lambda folder: (folder / "xvector.scp").write_text(""),
            "xvector.scp: no x-vector of any of the 73 sub-segments",
        ),
        (lambda folder: (folder / "xvector.c-1.ark").unlink(), "xvector.scp:66: x-vector of sub-segment c-1-0000000-"),
        (lambda folder: os.truncate(folder / "xvector.c-1.ark", 500), "unreadable archive entry; expected a vector"),
        (lambda folder: (folder / "xvector.scp").unlink(), "xvector.scp: no such file"),
        (lambda folder: (folder / "segments").unlink(), "segments: no such file"),
        (lambda folder: shutil.rmtree(folder), "segments: no such file"),
        (lambda folder: replace_line(folder / "segments", f"{LAST} c-1", f"{LAST} c-2"), f"sub-segment {LAST} differs"),
        (
            lambda folder: replace_line(folder / "utt2spk", f"{LAST} c-1\n", ""),
            "expected recording c-1, got no such line",
        ),
        (
            lambda folder: [replace_line(folder / name, LAST, "c-1-x") for name in ("segments", "utt2spk")],
            f"segments does not have (1 of 73); got {LAST}",
        ),
        (lambda folder: replace_line(folder / "segments", " 0.000 ", " nan "), "segments:1: bad start; expected"),
        (lambda folder: replace_line(folder / "segments", " 0.750\n", "\n"), "segments:1: wrong number of fields"),
        (lambda folder: replace_line(folder / "xvector.scp", "a-00", "a-10"), "segments does not have (1 of 73)"),
        (lambda folder: (folder / "meta.json").write_text("["), "meta.json: damaged; expected a JSON object"),
    ],
)
def test_a_bad_x_vector_directory(work, spoil, message):
    spoil(work / "x vectors")
    lines = run(work, "x vectors", "out", rc=1).stderr.splitlines()
    errors = [line for line in lines if ": error: " in line]
    assert len(errors) == 1
    assert message in errors[0]
    assert not (work / "out").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--num-spk", "0"], "a file of recordings and numbers, got 0"),
        (["--num-spk", "-1"], "got -1"),
        (["--num-spk", "two"], "got two"),
        (["--num-spk", "oracle"], "--num-spk oracle needs --reco2num-spk"),
        (["--num-spk", "oracle", "--reco2num-spk", "none"], "none: no such file"),
        (
            ["--num-spk", "oracle", "--reco2num-spk", "zero"],
            "zero:2: bad number; expected a whole number from 1, got 0",
        ),
        (["--seed", "-1"], "--seed: expected a whole number from 0, got -1"),
        (["--nj", "0"], "--nj: expected a whole number from 1, got 0"),
        (["--overwrite", "yes"], "expected true or false, got yes"),
        (["--system", "magic"], "magic.yaml: no such file; expected one of that folder ("),
        (["--system", "bad è.yaml"], "bad è.yaml: Object contains unknown field `mehtod`"),
        (["--nspk", "2"], "unknown option --nspk"),
        (["--num-spk"], "option --num-spk needs a value"),
        (["--verbose", "9"], "--verbose: expected 0, 1 or 2, got 9"),
    ],
)
def test_bad_options(work, args, message):
    (work / "counts").write_text("a 2\n")
    (work / "zero").write_text("a 2\nb.x 0\n")
    (work / "bad è.yaml").write_text("description: x\nmehtod: ahc\n")
    positional = [] if args == ["--num-spk"] else ["x vectors", "out"]
    lines = run(work, *args, *positional, rc=1).stderr.splitlines()
    errors = [line for line in lines if ": error: " in line]
    assert len(errors) == 1
    assert message in errors[0]
    assert not (work / "out").exists()


def unwritable(work):
    """A folder that cannot be made, whoever runs the tests: root may write everywhere but below /sys."""
    if os.geteuid() == 0:
        return "/sys/ssdiar/out"
    (work / "locked").mkdir(mode=0o555)
    return "locked/out"


def test_output_that_cannot_be(work):
    (work / "file").write_text("precious")
    assert "file: is in the way of the output directory" in run(work, "x vectors", "file", rc=1).stderr
    assert "file/out: is in the way" in run(work, "x vectors", "file/out", rc=1).stderr
    assert (work / "file").read_text() == "precious"
    assert "is input and output at once" in run(work, "x vectors", "./x vectors/", rc=1).stderr
    message = run(work, "x vectors", unwritable(work), rc=1).stderr
    assert "no write permission" in message or "Read-only file system" in message
    assert "expected <xvector-dir> <out-dir>, got 1 arguments" in run(work, "x vectors", rc=1).stderr
    assert sorted(path.name for path in work.iterdir() if path.name != "locked") == ["file", "x vectors"]


def test_help(work):
    done = run(work, "--help")
    for option in ("--system", "--num-spk", "--reco2num-spk", "--seed", "--nj", "--cmd", "--overwrite", "--python"):
        assert f"  {option} <" in done.stdout
