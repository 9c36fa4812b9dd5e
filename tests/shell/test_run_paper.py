"""local/paper/run.sh as users call it, on a made set with made x-vectors; nothing but the last test trains.

The recipe of these tests has a stand-in for run.sh, which calls stages 5 to 7 as run.sh does, or leaves made results.
"""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ssdiar.io.ark import write_xvector_scp, write_xvectors
from ssdiar.io.tables import write_segments
from ssdiar.timeline.spans import Segment

REPO = Path(__file__).resolve().parents[2]
PAPER = REPO / "local/paper/run.sh"
RECORDINGS = {"a": 30, "b.x": 24, "c-1": 12}

_BEGIN = """
import json, subprocess, sys
from pathlib import Path
sys.path.insert(0, "{repo}/steps/libs")
from ssdiar.base.config import config_name
options = dict(zip([name[2:].replace("-", "_") for name in sys.argv[1::2]], sys.argv[2::2]))
with open("calls", "a") as stream:
    print(json.dumps(options), file=stream)
assert (options["stage"], options["stop_stage"]) == ("5", "7")
data, exp = Path(options["data_root"], options["set"]), Path(options["exp_root"], options["set"])
for system in options["systems"].split():
    out = exp / f"{{config_name(system)}}_{{options['tag']}}"
"""
_STAGES = """
    xvectors = exp / f"xvectors_{{config_name(options['xvector'])}}"
    counts = ["--num-spk", options["num_spk"], "--seed", options["seed"], "--nj", options.get("nj", "1")]
    if options["num_spk"] == "oracle":
        counts += ["--reco2num-spk", data / "reco2num_spk"]
    for stage, *words in (
        ("cluster_ssl", "--system", system, *counts, xvectors, out),
        ("make_rttm", exp / "subsegments", out),
        ("score_der", data, out),
    ):
        command = [f"{repo}/steps/diar/{{stage}}.sh", "--python", "{python}", "--verbose", "0", *words]
        if subprocess.run(command).returncode:
            sys.exit(1)
"""
# A DER that the options give, and one outer iteration more with FINCH.
_RESULTS = """
    from ssdiar.scoring.der import PROTOCOLS, DiarizationError
    from ssdiar.scoring.jer import JaccardError
    from ssdiar.scoring.score_file import Rates, Score, write_score
    for name in ("score", "history"):
        (out / name).mkdir(parents=True, exist_ok=True)
    changes = dict(part.split("=") for part in system.split("+")[1:])
    heads = 0.1 * int(changes.get("encoder.heads", 0))
    der = 10 + float(changes.get("stop.threshold", 0)) + heads + int(options["seed"])
    rates = Rates.of(DiarizationError(100, 0, 0, der), JaccardError())
    origin = {{"num_spk_source": "oracle", "speech_source": "webrtc", "xvector_model": "made"}}
    for protocol in PROTOCOLS.values():
        each, counts = dict.fromkeys("abc", rates), dict.fromkeys("abc", (2, 2))
        write_score(out / "score", Score(protocol, "uem", "ssdiar", rates, each, counts))
    (out / "meta.json").write_text(json.dumps(origin))
    chain = [20, 10, 5, 2] if "finch" in system else [9, 5, 2]
    steps = [{{"clusters": n, "epochs": 2, "losses": [1.0, 0.7, 0.4]}} for n in chain[1:]]
    for reco in "abc":
        history = json.dumps({{"first_clusters": chain[0], "iterations": steps}})
        (out / "history" / f"{{reco}}.json").write_text(history)
"""


def stand_in(folder, body):
    """Put a stand-in for run.sh into a recipe's folder."""
    (folder / "stand_in.py").write_text((_BEGIN + body).format(python=sys.executable, repo=REPO))
    (folder / "run.sh").write_text(f"#!/usr/bin/env bash\nexec '{sys.executable}' stand_in.py \"$@\"\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "calls").unlink(missing_ok=True)


def calls(folder):
    """Return the options of the calls of run.sh so far."""
    return [json.loads(line) for line in (folder / "calls").read_text().splitlines()]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A recipe with roots `da ta` and `ex p`, and a set `tiny` of two speakers who take turns of 2.25 s."""
    root = tmp_path_factory.mktemp("qui è là")
    data, exp = root / "da ta/tiny", root / "ex p/tiny"
    for folder in (data, exp / "subsegments", exp / "xvectors_made"):
        folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    segments, vectors, rttm, uem = [], {}, "", ""
    for reco, size in RECORDINGS.items():
        truth = np.arange(size) // 3 % 2
        rows = rng.standard_normal((2, 10))[truth] + 0.3 * rng.standard_normal((size, 10))
        own = [Segment(f"{reco}-{75 * i:07d}-{75 * i + 75:07d}", reco, 0.75 * i, 0.75 * i + 0.75) for i in range(size)]
        segments += own
        vectors |= {segment.id: row for segment, row in zip(own, rows, strict=True)}
        for i in range(0, size, 3):
            rttm += f"SPEAKER {reco} 1 {0.75 * i:.3f} 2.250 <NA> <NA> speaker{truth[i]} <NA> <NA>\n"
        uem += f"{reco} 1 0.000 {0.75 * size:.3f}\n"
    (data / "ref.rttm").write_text(rttm)
    (data / "all.uem").write_text(uem)
    (data / "reco2num_spk").write_text("".join(f"{reco} 2\n" for reco in RECORDINGS))
    for folder in (exp / "subsegments", exp / "xvectors_made"):
        write_segments(folder, segments)
    (exp / "xvectors_made/meta.json").write_text('{"xvector_model": "made", "speech_source": "oracle (ref.rttm)"}\n')
    ark = exp / "xvectors_made/xvector.1.ark"
    offsets = write_xvectors(ark, vectors)
    write_xvector_scp(exp / "xvectors_made/xvector.scp", {key: (ark, place) for key, place in offsets.items()})
    return root


@pytest.fixture
def work(prepared):
    """The same without any result."""
    for folder in (prepared / "ex p/tiny").iterdir():
        if folder.name not in ("subsegments", "xvectors_made"):
            shutil.rmtree(folder)
    stand_in(prepared, _STAGES)
    return prepared


def run(work, *args, rc=0):
    roots = ["--data-root", "da ta", "--exp-root", "ex p"]
    done = subprocess.run(
        [str(PAPER), "--set", "tiny", "--xvector", "made", "--nj", "1", "--python", sys.executable, *roots, *args],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == rc, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def table(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_tables_of_untrained_systems(work):
    exp, out = work / "ex p/tiny", work / "ex p/tiny/paper_made"
    few = ["--make", "tables", "--systems", "xvector_ahc nmesc", "--num-spk", "oracle", "--seeds", "0 1"]
    assert "table.md, of 3 runs" in run(work, *few).stderr
    assert sorted(path.parent.name for path in exp.rglob("rttm")) == [
        "nmesc_made_oracle_seed0",
        "nmesc_made_oracle_seed1",
        "xvector_ahc_made_oracle_seed0",
    ]
    assert [(call["systems"], call["seed"]) for call in calls(work)] == [("xvector_ahc nmesc", "0"), ("nmesc", "1")]
    assert {(call["sad"], call["nj"], call["python"]) for call in calls(work)} == {("oracle", "1", sys.executable)}
    rows = table(out / "table.tsv")
    assert [(row["system"], row["protocol"], row["seeds"]) for row in rows[:4]] == [
        ("xvector_ahc", "forgiving", "none"),
        ("nmesc", "forgiving", "0 1"),
        ("xvector_ahc", "fair", "none"),
        ("nmesc", "fair", "0 1"),
    ]
    for row in rows:
        folder = exp / f"{row['system']}_made_oracle_seed0"
        score = json.loads((folder / "score" / f"{row['protocol']}.json").read_text())
        assert float(row["der"]) == pytest.approx(100 * score["der"], abs=1e-4)
        assert (row["set"], row["recordings"], row["xvector_model"]) == ("tiny", "3", "made")
    assert "Set tiny (3 recordings); speech: oracle (ref.rttm); speaker count: oracle" in (out / "table.md").read_text()
    compared = table(out / "bootstrap.tsv")
    assert {(row["first"], row["second"]) for row in compared} == {("nmesc", "xvector_ahc")}
    assert len(compared) == 3

    (exp / "nmesc_made_oracle_seed1/score/fair.json").unlink()
    run(work, *few, "--verbose", "0")
    assert calls(work)[-1]["verbose"] == "0"
    assert table(out / "table.tsv") == rows


def test_a_failing_run_is_shown_and_not_counted(work):
    counts = work / "da ta/tiny/reco2num_spk"
    before = counts.read_text()
    counts.write_text("a 2\nb.x two\n")
    try:
        message = run(work, "--systems", "nmesc", "--seeds", "0", "--num-spk", "oracle", rc=1).stderr
    finally:
        counts.write_text(before)
    assert "reco2num_spk:2: " in message
    assert not list((work / "ex p/tiny").rglob("table.md"))


def test_figures(work):
    stand_in(work, _RESULTS)
    run(work, "--make", "4", "--seeds", "0")
    run(work, "--make", "2 3 5", "--seeds", "0 1")
    assert len(calls(work)) == 20 + 1 + 2 * (1 + 1 + 10) + 1, "a control for each figure of DER"
    assert {call["num_spk"] for call in calls(work)} == {"oracle"}
    out = work / "ex p/tiny/paper_made/figures"
    for number in (2, 3, 4, 5):
        picture = (out / f"figure{number}.png").read_bytes()
        assert picture.startswith(b"\x89PNG\r\n") and len(picture) > 10_000
    medians = [row["clusters_median"] for row in table(out / "figure2.tsv")]
    assert medians[:4] == ["9.0000", "5.0000", "2.0000", "2.0000"]
    assert len(table(out / "figure4.tsv")) == 20
    rows = table(out / "figure5.tsv")
    assert [(row["system"], row["stop.threshold"], row["der_mean"], row["der_sd"]) for row in (rows[0], rows[11])] == [
        ("dnn_finch_ahc_contrastive", "0.1000", "10.6000", "0.7071"),
        ("conformer_finch_ahc_contrastive", "0.6000", "11.1000", "0.7071"),
    ]
    assert {(row["set"], row["speech_source"], row["seeds"]) for row in rows} == {("tiny", "webrtc", "0 1")}
    assert {row["xvector_ahc_centred"] for row in rows} == {"10.0000"}


def test_a_figure_in_another_reading_stands_beside_it(work):
    stand_in(work, _RESULTS)
    run(work, "--make", "3", "--seeds", "0", "--readings", "robust literal")
    names = "conformer_ahc_contrastive conformer_finch_ahc_contrastive".split()
    assert [call["systems"].split() for call in calls(work)] == [names, [f"{name}+literal" for name in names]]
    out = work / "ex p/tiny/paper_made/figures"
    robust, literal = (table(out / f"figure3{suffix}.tsv") for suffix in ("", "_literal"))
    assert robust == literal and (out / "figure3_literal.png").is_file()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--systems", "magic"], "magic.yaml: no such file; expected one of that folder ("),
        (["--systems", ""], "expected one or more, none twice; got nothing"),
        (["--systems", "nmesc nmesc"], "none twice; got nmesc nmesc"),
        (["--seeds", "0 x"], "expected a whole number from 0, got"),
        (["--seeds", "0 00"], "none twice"),
        (["--num-spk", "2"], "expected some of: oracle estimate; got 2"),
        (["--readings", "free"], "expected some of: robust literal literal+uncentred; got free"),
        (["--make", "1 2"], "expected some of: tables 2 3 4 5; got 1 2"),
        (["--set", "none"], "none/ref.rttm: no such file; expected the reference"),
        (["--protocols", "fair"], "--protocols"),
        (["more"], "more"),
    ],
)
def test_bad_options(work, args, message):
    done = subprocess.run(
        [PAPER, "--set", "tiny", "--data-root", "da ta", "--exp-root", "ex p", "--python", sys.executable, *args],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stderr.splitlines() if ": error: " in line]
    assert done.returncode != 0 and len(errors) == 1 and "Traceback" not in done.stderr
    assert message in errors[0]
    assert not (work / "calls").exists()


def test_a_set_that_is_not_prepared_names_the_command(work):
    message = run(work, "--set", "none", rc=1).stderr
    assert "./run.sh --set none --sad oracle --xvector made --data-root 'da ta' --exp-root 'ex p' " in message
    assert message.rstrip().endswith("--stop-stage 4")


def test_help(tmp_path):
    command = [PAPER, "--help", "--python", sys.executable]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    for option in ("--set", "--make", "--systems", "--readings", "--num-spk", "--seeds", "--nj", "--cmd", "--python"):
        assert f"  {option} " in done.stdout


def test_speechbrain_vectors_of_512_dimensions_go_all_the_way(tmp_path):
    """The paper's own x-vectors, from a folder laid out as the hub is: stages 2 to 4, then rows of both networks."""
    subprocess.run([sys.executable, REPO / "tests/data/make_speechbrain_model.py", tmp_path / "the model"], check=True)
    data, diar = tmp_path / "da ta/tiny", REPO / "steps/diar"
    data.mkdir(parents=True)
    time = np.arange(24 * 16000) / 16000
    turn = (time // 3).astype(int) % 2
    voices = [sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 9)) for pitch in (110, 240)]
    noise = np.random.default_rng(0).normal(0, 0.1, len(time))
    sound = np.where(turn == 0, *voices) * (1 + 0.3 * np.sin(9 * time)) + noise
    soundfile.write(tmp_path / "one call.wav", 0.1 * sound, 16000)
    (data / "wav.scp").write_text(f"one {tmp_path}/one call.wav\n")
    turns = "".join(f"SPEAKER one 1 {3 * i}.000 3.000 <NA> <NA> s{i % 2} <NA> <NA>\n" for i in range(8))
    (data / "ref.rttm").write_text(turns)
    (data / "reco2num_spk").write_text("one 2\n")
    roots = [str(data), "speech", "ex p/tiny/subsegments", "ex p/tiny/xvectors_speechbrain"]
    for script, *arguments in (
        ("detect_speech.sh", "--sad", "oracle", *roots[:2]),
        ("make_subsegments.sh", *roots[1:3]),
        ("extract_xvectors.sh", "--xvector", "speechbrain+source=the model", *roots[1:]),
    ):
        command = [diar / script, "--python", sys.executable, *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    stand_in(tmp_path, _STAGES)
    short = "+train.max_epochs=5+stop.max_iterations=3"
    rows = f"xvector_ahc dnn_ahc_triplet{short} conformer_finch_ahc_contrastive{short}"
    few = ["--seeds", "0", "--num-spk", "oracle", "--xvector", "speechbrain", "--readings", "literal"]
    run(tmp_path, "--make", "tables", "--systems", rows, *few)
    found = table(tmp_path / "ex p/tiny/paper_speechbrain/table.tsv")
    names = ["xvector_ahc", "dnn_ahc_triplet+literal", "conformer_finch_ahc_contrastive+literal"]
    assert [row["system"] for row in found if row["protocol"] == "forgiving"] == names
    assert {row["xvector_model"] for row in found} == {"speechbrain"}
    meta = json.loads((tmp_path / "ex p/tiny/xvectors_speechbrain/meta.json").read_text())
    assert meta["dimension"] == 512
