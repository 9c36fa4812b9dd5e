"""Both doors to Kaldi: our stages linked into a Kaldi recipe, and data and x-vector directories made by others.

The recipe's utils/ holds a stand-in for Kaldi's queue.pl, which takes its options before JOB=1:n and starts every job
in a fresh shell that knows PATH and what path.sh sets.
"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
DIAR = ROOT / "steps" / "diar"

QUEUE = r"""#!/usr/bin/env bash
echo "$*" >>queue.calls
while [[ $1 == -* ]]; do shift 2; done
[[ $1 =~ ^JOB=1:([0-9]+)$ ]] || { echo "queue.pl: expected JOB=1:n, got $1" >&2; exit 1; }
jobs=${BASH_REMATCH[1]} log=$2
shift 2
command=
for word in "$@"; do
  if [[ $word =~ ^[^[:space:]]+$ ]]; then command+="$word "; else command+="\"$word\" "; fi
done
for ((job = 1; job <= jobs; job++)); do
  file=${log//JOB/$job}
  mkdir -p "$(dirname "$file")"
  echo "cd $PWD; . ./path.sh; ( ${command//JOB/$job} ) >$file 2>&1" | env -i PATH="$PATH" bash || failed=1
done
[ -z "${failed:-}" ]
"""

STAGES = ("detect_speech", "make_subsegments", "extract_xvectors", "cluster_ssl", "make_rttm", "score_der")


def run(folder, *command, rc=0):
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHON": sys.executable},
    )
    assert done.returncode == rc, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def error(done):
    """The one line that tells what was wrong."""
    (line,) = [line for line in done.stderr.splitlines() if ": error: " in line]
    return line


def table(path):
    return [line.split() for line in path.read_text().splitlines()]


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def make_kaldi_recipe(folder):
    write(folder / "path.sh", "export PATH=$PWD/utils/:$PWD:$PATH", "export LC_ALL=C KALDI_ROOT=`pwd`/../../..")
    write(folder / "cmd.sh", 'export train_cmd="queue.pl --mem 4G"')
    write(folder / "utils/queue.pl", QUEUE)
    (folder / "utils/queue.pl").chmod(0o755)
    (folder / "diar").symlink_to(DIAR)


def make_kaldi_data(folder, recos=("iaaa", "iaab")):
    """A data directory as Kaldi's callhome has it: commands, segments, counts, and no durations. Returns its path."""
    rng = np.random.default_rng(0)
    data, segments = folder / "data/x", []
    time = np.arange(8 * 8000) / 8000
    for reco in recos:
        tone = np.sin(2 * np.pi * np.where(time < 4, 150, 320) * time) + 0.3 * rng.standard_normal(len(time))
        (folder / "audio").mkdir(exist_ok=True)
        soundfile.write(folder / f"audio/{reco}.wav", 0.2 * tone, 8000)
        segments += [(reco, 0.5, 3.5), (reco, 4.25, 7.5)]
    ids = {f"{reco}-{100 * start:07.0f}-{100 * end:07.0f}": (reco, start, end) for reco, start, end in segments}
    # wav.scp's paths are relative to the recipe, as in Kaldi.
    write(data / "wav.scp", *(f"{reco} cat audio/{reco}.wav |" for reco in recos))
    write(data / "segments", *(f"{key} {reco} {start} {end}" for key, (reco, start, end) in ids.items()))
    write(data / "utt2spk", *(f"{key} {reco}" for key, (reco, _, _) in ids.items()))
    write(data / "spk2utt", *(" ".join([reco, *(key for key in ids if ids[key][0] == reco)]) for reco in recos))
    write(data / "reco2num_spk", *(f"{reco} 2" for reco in recos))
    return data


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A Kaldi recipe in which all six stages ran, on a queue."""
    folder = tmp_path_factory.mktemp("kaldi") / "v1"
    make_kaldi_recipe(folder)
    make_kaldi_data(folder)
    turns = [
        f"SPEAKER {reco} 1 {b} 3 <NA> <NA> {s} <NA> <NA>" for reco in ("iaaa", "iaab") for b, s in ((0.5, 1), (4.25, 2))
    ]
    write(folder / "ref.rttm", *turns)
    script = """. ./cmd.sh; . ./path.sh; set -e
diar/detect_speech.sh --nj 2 --cmd "$train_cmd" --allow-commands true --sad oracle \\
  data/x data/x_speech
diar/make_subsegments.sh --config conf/subsegments.conf data/x_speech exp/x/subsegments
diar/extract_xvectors.sh --nj 40 --cmd "$train_cmd" --allow-commands true \\
  data/x_speech exp/x/subsegments exp/x/xvectors
diar/cluster_ssl.sh --nj 1 --cmd "$train_cmd" --system xvector_ahc --num-spk oracle \\
  --reco2num-spk data/x/reco2num_spk exp/x/xvectors exp/x/ahc
diar/make_rttm.sh exp/x/subsegments exp/x/ahc
diar/score_der.sh --ref ref.rttm data/x exp/x/ahc"""
    (folder / "conf").symlink_to(ROOT / "conf")
    run(folder, "bash", "-c", script)
    return folder


def test_every_stage_runs_in_a_kaldi_recipe(recipe):
    labels = dict(table(recipe / "exp/x/ahc/labels"))
    assert list(labels) == [row[0] for row in table(recipe / "exp/x/subsegments/segments")]
    turns = table(recipe / "exp/x/ahc/rttm")
    assert {row[1] for row in turns} == {"iaaa", "iaab"}
    assert sum(float(row[4]) for row in turns) == pytest.approx(2 * 6.25)
    assert json.loads((recipe / "exp/x/ahc/score/full.json").read_text())["scored_seconds"] == pytest.approx(12)
    meta = json.loads((recipe / "exp/x/ahc/meta.json").read_text())
    assert (meta["speech_source"], meta["num_spk_source"]) == ("oracle (segments)", "oracle")


def plain(call):
    """What a shell makes of the words of a call that hold blanks and the like: $(printf %b <codes>)."""
    return re.sub(
        r"\$\(printf %b (\S+)\)",
        lambda word: re.sub(r"\\+0([0-7]{3})", lambda code: chr(int(code[1], 8)), word[1]),
        call,
    )


def test_how_a_queue_is_called(recipe):
    """Options, JOB=1:n, log, command, as queue.pl, slurm.pl and run.pl want it; never more jobs than recordings."""
    expected = [
        f"--mem 4G JOB=1:{jobs} {out}/log/{stage}.JOB.log "
        f"{sys.executable} {DIAR}/{stage}.py --verbose 1 --job JOB {out}"
        for stage, jobs, out in (
            ("detect_speech", 2, "data/x_speech"),
            ("extract_xvectors", 2, "exp/x/xvectors"),
            ("cluster_ssl", 1, "exp/x/ahc"),
        )
    ]
    assert [plain(call) for call in (recipe / "queue.calls").read_text().splitlines()] == expected


@pytest.mark.parametrize("folder", ["data/x", "data/x_speech", "exp/x/subsegments"])
def test_our_directories_are_what_kaldi_takes_for_valid(recipe, folder, tmp_path):
    """The rules of Kaldi's validate_data_dir.sh, which the test asks of the files themselves."""
    folder = recipe / folder
    tables = {name: table(folder / name) for name in ("wav.scp", "segments", "utt2spk", "spk2utt")}
    for name, rows in tables.items():
        text = (folder / name).read_text()
        assert text.endswith("\n") and "\n\n" not in text and "  " not in text
        keys = [row[0].encode() for row in rows]
        assert keys == sorted(set(keys)), "sorted by byte, no key twice"
    assert all(len(row) == 4 and float(row[3]) > float(row[2]) for row in tables["segments"])
    assert [row[:2] for row in tables["segments"]] == tables["utt2spk"]
    assert tables["utt2spk"] == sorted(tables["utt2spk"], key=lambda row: (row[1], row[0])), "by speaker too"
    assert [[key, reco] for reco, *keys in tables["spk2utt"] for key in keys] == tables["utt2spk"]
    assert {row[1] for row in tables["segments"]} == {row[0] for row in tables["wav.scp"]}
    copy = shutil.copytree(folder, tmp_path / "copy")
    run(tmp_path, ROOT / "utils/validate_data_dir.sh", "--no-feats", "--no-text", copy)


@pytest.mark.parametrize("stage", STAGES)
def test_help_and_wrong_options(tmp_path, stage):
    make_kaldi_recipe(tmp_path)
    shown = run(tmp_path, f"diar/{stage}.sh", "--help").stdout
    assert shown.startswith(f"Usage: {stage}.sh [options] <") and "--config <file>" in shown
    done = run(tmp_path, f"diar/{stage}.sh", "--no-such", "1", "a", "b", rc=1)
    assert error(done).startswith(f"{stage}.sh: error: unknown option --no-such")
    assert f"{stage}.sh: error: expected <" in run(tmp_path, f"diar/{stage}.sh", rc=1).stderr


def test_which_python_runs_a_stage_and_what_it_lacks(tmp_path):
    """--python, else $PYTHON; a package that it lacks is one line, and no other Python is tried."""
    make_kaldi_recipe(tmp_path)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHON"}
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True, timeout=300)
    bare = ".venv/bin/python3"
    for options, more in (([], {"PYTHON": bare}), (["--python", bare], {"PYTHON": "no/python"})):
        done = subprocess.run(
            ["diar/cluster_ssl.sh", *options, "x", "out"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            env=environment | more,
            check=False,
        )
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert ".venv/bin/python3 has no package " in done.stderr and "utils/setup_env.sh" in done.stderr
    error = run(tmp_path, "diar/cluster_ssl.sh", "--python", "no/python", "x", "out", rc=1).stderr
    assert error == "cluster_ssl.sh: error: no/python: no such Python (--python, PYTHON)\n"


def test_a_failing_job_stops_the_stage(tmp_path):
    make_kaldi_recipe(tmp_path)
    write(tmp_path / "data/x/wav.scp", "a false |")
    write(tmp_path / "data/x/segments", "a-1 a 0 1")
    call = [
        "diar/detect_speech.sh",
        "--allow-commands",
        "true",
        "--cmd",
        "utils/queue.pl",
        "--sad",
        "oracle",
        "data/x",
        "out",
    ]
    run(tmp_path, *call, rc=1)
    assert "detect_speech.sh: error: false |: command failed" in (tmp_path / "out/log/detect_speech.1.log").read_text()
    assert not (tmp_path / "out/segments").exists()


# ---- in: data directories


def test_a_kaldi_data_directory_enters_at_stage_3(tmp_path):
    data = make_kaldi_data(tmp_path)
    write(data / "feats.scp", *(f"{key} mfcc/raw.1.ark:{i}" for i, (key, *_) in enumerate(table(data / "segments"))))
    run(tmp_path, DIAR / "make_subsegments.sh", "data/x", "out")
    pieces = table(tmp_path / "out/segments")
    assert pieces[0] == ["iaaa-0000050-0000125", "iaaa", "0.500", "1.250"]
    assert len(pieces) == 2 * (4 + 5)
    assert (tmp_path / "out/wav.scp").read_bytes() == (data / "wav.scp").read_bytes()
    assert json.loads((tmp_path / "out/meta.json").read_text())["speech_source"] == "given"


@pytest.mark.parametrize("stage", [["detect_speech", "--sad", "oracle"], ["make_subsegments"], ["extract_xvectors"]])
def test_features_only_are_refused(tmp_path, stage):
    data = make_kaldi_data(tmp_path)
    (data / "wav.scp").rename(data / "feats.scp")
    pieces = ["data/x"] if stage[0] == "extract_xvectors" else []
    done = run(tmp_path, DIAR / f"{stage[0]}.sh", *stage[1:], "data/x", *pieces, "out", rc=1)
    assert error(done) == (
        f"{stage[0]}.sh: error: data/x: a directory of features only; speech and x-vectors are made from audio here, "
        "not from feats.scp; expected wav.scp, got feats.scp"
    )
    assert not (tmp_path / "out").exists()


# ---- in: x-vector directories

SHARES = {"f": np.dtype("<f4"), "d": np.dtype("<f8"), "t": None}


def entry(vector, kind):
    """One vector as it stands in an archive behind its key: float, double or text."""
    if SHARES[kind] is None:
        return f" [ {' '.join(f'{x:.7g}' for x in vector)} ]\n".encode()
    head = b"\0BFV \4" if kind == "f" else b"\0BDV \4"
    return head + struct.pack("<i", len(vector)) + vector.astype(SHARES[kind]).tobytes()


def make_xvectors(folder, utterances, window, period, name):
    """An x-vector directory with pieces that overlap, of two speakers, who change at 4 s; returns who speaks.

    An archive per kind of entry is what several jobs of several versions may leave.
    """
    rng = np.random.default_rng(1)
    centres, rows, truth = rng.standard_normal((2, 30)), [], {}
    for job, kind in enumerate(SHARES, 1):
        archive = b""
        for utterance, reco, start, end in utterances[kind]:
            for i in range(round((end - start - window) / period) + 1):
                begin = start + i * period
                key = name(utterance, round(100 * i * period), round(100 * (i * period + window)))
                truth[key] = int(begin + window / 2 > 4)
                archive += key.encode() + b" "
                rows.append((key, reco, begin, begin + window, f"xv/xvector.{job}.ark:{len(archive)}"))
                archive += entry(centres[truth[key]] + 0.2 * rng.standard_normal(30), kind)
        folder.mkdir(exist_ok=True)
        (folder / f"xvector.{job}.ark").write_bytes(archive)
    write(folder / "xvector.scp", *(f"{row[0]} {row[4]}" for row in rows))
    write(folder / "segments", *(f"{row[0]} {row[1]} {row[2]:.2f} {row[3]:.2f}" for row in rows))
    return truth, {row[0]: row[1] for row in rows}


def same_partition(found, truth, recordings):
    pairs = {(recordings[key], found[key], truth[key]) for key in truth}
    return found.keys() == truth.keys() and len(pairs) == 2 * len(set(recordings.values()))


def test_an_x_vector_directory_of_kaldi(tmp_path):
    """Float, double, text; scp relative to the current folder; ids of Kaldi's extract_xvectors.sh; whitening files."""
    utterances = {kind: [(f"i{kind}-0000050-0000750", f"i{kind}", 0.5, 7.25)] for kind in SHARES}
    name = "{}-{:08d}-{:08d}".format
    truth, recordings = make_xvectors(tmp_path / "xv", utterances, 1.5, 0.75, name)
    assert "if-0000050-0000750-00000075-00000225" in truth
    write(tmp_path / "xv/utt2spk", *(f"{key} {reco}" for key, reco in recordings.items()))
    by_reco = {reco: [key for key in recordings if recordings[key] == reco] for reco in recordings.values()}
    write(tmp_path / "xv/spk2utt", *(" ".join([reco, *keys]) for reco, keys in by_reco.items()))
    for other in ("mean.vec", "transform.mat", "plda"):
        (tmp_path / "xv" / other).write_bytes(b"\0BFM \4")
    run(tmp_path, DIAR / "cluster_ssl.sh", "--system", "xvector_ahc", "--num-spk", "2", "xv", "out")
    assert same_partition(dict(table(tmp_path / "out/labels")), truth, recordings)
    run(tmp_path, DIAR / "make_rttm.sh", "xv", "out")
    # The change is put in the middle of the overlap of 2.75-4.25 (centre 3.5) and 3.5-5 (centre 4.25), as Kaldi does.
    expected = [["0.500", "3.375", "speaker1"], ["3.875", "3.375", "speaker2"]]
    turns = table(tmp_path / "out/rttm")
    assert [[row[3], row[4], row[7]] for row in turns] == expected * 3


def test_an_x_vector_directory_of_vbx(tmp_path):
    """Keys <recording>_<segment>-<start>-<end>, no utt2spk, windows of 1.44 s every 0.24 s."""
    utterances = {kind: [(f"call{kind}_0000", f"call{kind}", 0, 8.16)] for kind in SHARES}
    truth, recordings = make_xvectors(tmp_path / "xv", utterances, 1.44, 0.24, "{}-{:08d}-{:08d}".format)
    run(tmp_path, DIAR / "cluster_ssl.sh", "--system", "xvector_ahc", "--num-spk", "2", "xv", "out")
    assert same_partition(dict(table(tmp_path / "out/labels")), truth, recordings)


def test_matrices_are_refused(tmp_path):
    (tmp_path / "xv").mkdir()
    shutil.copy(ROOT / "tests/data/xvectors.compressed.ark", tmp_path / "xv/xvector.1.ark")
    key = "r1-0000000-0000075"
    write(tmp_path / "xv/xvector.scp", f"{key} xv/xvector.1.ark:{len(key) + 1}")
    write(tmp_path / "xv/segments", f"{key} r1 0 0.75")
    done = run(tmp_path, DIAR / "cluster_ssl.sh", "--system", "xvector_ahc", "xv", "out", rc=1)
    assert error(done).endswith(
        f"xv/xvector.scp:1: x-vector of sub-segment {key}: unreadable archive entry; expected a vector of floats, "
        f"got a matrix at xv/xvector.1.ark:{len(key) + 1}"
    )
    assert not (tmp_path / "out").exists()
