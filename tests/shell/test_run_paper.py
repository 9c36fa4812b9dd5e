"""run_paper.sh and run_figures.sh as users call them, on a made set with made x-vectors; nothing here trains."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from run_manifests import leave_manifests

from paper.runs import Inputs, Run
from ssdiar.io.ark import write_xvector_scp, write_xvectors
from ssdiar.io.tables import write_segments
from ssdiar.scoring.der import PROTOCOLS, DiarizationError
from ssdiar.scoring.jer import JaccardError
from ssdiar.scoring.score_file import Rates, Score, write_score
from ssdiar.timeline.spans import Segment

LOCAL = Path(__file__).resolve().parents[2] / "local"
RECORDINGS = {"a": 30, "b.x": 24, "c-1": 12}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Roots `da ta` and `ex p` with a set `tiny` whose stages 1 to 4 are done; two speakers take turns of 2.25 s."""
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
        vectors |= {piece.id: row for piece, row in zip(own, rows, strict=True)}
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
    shutil.rmtree(prepared / "ex p/tiny/paper", ignore_errors=True)
    return prepared


def run(work, script, *args, rc=0, python=sys.executable):
    roots = ["--data-root", "da ta", "--exp-root", "ex p"]
    done = subprocess.run(
        [str(LOCAL / script), "--set", "tiny", "--xvector", "made", "--nj", "1", "--python", python, *roots, *args],
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


def test_runs_of_untrained_systems(work):
    out = work / "ex p/tiny/paper"
    few = ["--systems", "xvector_ahc nmesc", "--num-spk", "oracle", "--seeds", "0 1"]
    first = run(work, "run_paper.sh", *few)
    assert "run 3 of 3" in first.stderr and "DER " in first.stderr
    assert sorted(str(path.parent.relative_to(out)) for path in out.rglob("rttm")) == [
        "nmesc/oracle/seed0",
        "nmesc/oracle/seed1",
        "xvector_ahc/oracle/seed0",
    ]
    rows = table(out / "table.tsv")
    assert [(row["system"], row["protocol"], row["seeds"]) for row in rows[:4]] == [
        ("xvector_ahc", "forgiving", "none"),
        ("nmesc", "forgiving", "0 1"),
        ("xvector_ahc", "fair", "none"),
        ("nmesc", "fair", "0 1"),
    ]
    for row in rows:
        score = json.loads((out / row["system"] / "oracle/seed0/score" / f"{row['protocol']}.json").read_text())
        assert float(row["der"]) == pytest.approx(100 * score["der"], abs=1e-4)
        assert (row["set"], row["recordings"], row["xvector_model"]) == ("tiny", "3", "made")
    assert "Set tiny (3 recordings); speech: oracle (ref.rttm); speaker count: oracle" in (out / "table.md").read_text()
    compared = table(out / "bootstrap.tsv")
    assert {(row["first"], row["second"]) for row in compared} == {("nmesc", "xvector_ahc")}
    assert len(compared) == 3

    again = run(work, "run_paper.sh", *few)
    assert "nothing to do: all runs are done" in again.stderr
    assert table(out / "table.tsv") == rows
    (out / "nmesc/oracle/seed1/score/fair.json").unlink()
    mended = run(work, "run_paper.sh", *few, "--verbose", "0")
    assert "nmesc/oracle/seed1" not in mended.stderr
    assert table(out / "table.tsv") == rows
    (out / "xvector_ahc/oracle/seed0/score/fair.json").write_text("{}")
    assert "run 1 of 1" in run(work, "run_paper.sh", *few).stderr
    assert table(out / "table.tsv") == rows


def test_speechbrain_vectors_of_512_dimensions_go_all_the_way(tmp_path):
    """The paper's own x-vectors, from a folder laid out as the hub is: stages 2 to 4, then rows of both networks."""
    maker = LOCAL.parent / "tests/data/make_speechbrain_model.py"
    subprocess.run([sys.executable, maker, tmp_path / "the model"], check=True, timeout=300)
    data, diar = tmp_path / "da ta/tiny", LOCAL.parent / "steps/diar"
    data.mkdir(parents=True)
    time = np.arange(24 * 16000) / 16000
    turn = (time // 3).astype(int) % 2
    voices = [sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 9)) for pitch in (110, 240)]
    sound = np.where(turn == 0, *voices) * (1 + 0.3 * np.sin(9 * time)) + np.random.default_rng(0).normal(
        0, 0.1, len(time)
    )
    soundfile.write(tmp_path / "one call.wav", 0.1 * sound, 16000)
    (data / "wav.scp").write_text(f"one {tmp_path}/one call.wav\n")
    turns = "".join(f"SPEAKER one 1 {3 * i}.000 3.000 <NA> <NA> s{i % 2} <NA> <NA>\n" for i in range(8))
    (data / "ref.rttm").write_text(turns)
    (data / "reco2num_spk").write_text("one 2\n")
    roots = [str(data), "speech", "ex p/tiny/subsegments", "ex p/tiny/xvectors_speechbrain"]
    for script, *arguments in (
        ("detect_speech.sh", "--sad", "oracle", *roots[:2]),
        ("make_subsegments.sh", *roots[1:3]),
        ("extract_xvectors.sh", "--xvector", "speechbrain", "--xvector-source", "the model", *roots[1:]),
    ):
        command = [diar / script, "--python", sys.executable, *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    rows = "xvector_ahc dnn_ahc_triplet conformer_finch_ahc_contrastive"
    few = ["--seeds", "0", "--num-spk", "oracle", "--xvector", "speechbrain", "--reading", "literal"]
    run(
        tmp_path,
        "run_paper.sh",
        "--systems",
        rows,
        *few,
        "--system-options",
        "train.max_epochs=5 stop.max_iterations=3",
    )
    found = table(tmp_path / "ex p/tiny/paper/table.tsv")
    names = ["xvector_ahc", "dnn_ahc_triplet_literal", "conformer_finch_ahc_contrastive_literal"]
    assert [row["system"] for row in found if row["protocol"] == "forgiving"] == names
    assert {row["xvector_model"] for row in found} == {"speechbrain"}
    folder = "ex p/tiny/paper/conformer_finch_ahc_contrastive_literal/train.max_epochs_5_stop.max_iterations_3"
    before = np.load(tmp_path / folder / "oracle/seed0/latent/one.npz")["before"]
    assert before.shape == (32, 30)
    meta = json.loads((tmp_path / "ex p/tiny/xvectors_speechbrain/meta.json").read_text())
    assert meta["dimension"] == 512


def test_a_failing_run_is_shown_and_not_counted(work):
    counts = work / "da ta/tiny/reco2num_spk"
    before = counts.read_text()
    counts.write_text("a 2\nb.x two\n")
    try:
        message = run(work, "run_paper.sh", "--systems", "nmesc", "--seeds", "0", "--num-spk", "oracle", rc=1).stderr
    finally:
        counts.write_text(before)
    assert "reco2num_spk:2: " in message
    assert not (work / "ex p/tiny/paper/table.md").exists()


def leave_results(plan, inputs):
    """Complete the planned runs by hand: a DER that the options give, one outer iteration more with FINCH."""
    for line in plan.splitlines():
        folder, count, seed, system, _, changes = line.split("\t")
        folder, options = Path(folder), dict(change.split("=") for change in changes.split())
        (folder / "score").mkdir(parents=True)
        (folder / "history").mkdir()
        for name in ("labels", "rttm"):
            (folder / name).write_text("x\n")
        der = 10 + float(options.get("stop.threshold", 0)) + 0.1 * int(options.get("encoder.heads", 0)) + int(seed)
        error = DiarizationError(100, 0, 0, der)
        for protocol in PROTOCOLS.values():
            each = {reco: Rates.of(error, JaccardError()) for reco in RECORDINGS}
            counts = dict.fromkeys(RECORDINGS, (2, 2))
            write_score(
                folder / "score", Score(protocol, "uem", "ssdiar", Rates.of(error, JaccardError()), each, counts)
            )
        chain = [20, 10, 5, 2] if "finch" in system else [9, 5, 2]
        steps = [{"clusters": n, "epochs": 2, "losses": [1.0, 0.7, 0.4]} for n in chain[1:]]
        for reco in RECORDINGS:
            (folder / "history" / f"{reco}.json").write_text(
                json.dumps({"first_clusters": chain[0], "iterations": steps})
            )
        meta = {"num_spk_source": "oracle", "speech_source": "webrtc", "xvector_model": "made"}
        (folder / "meta.json").write_text(json.dumps(meta))
        leave_manifests(folder, inputs, Run(Path(system), count, int(seed), tuple(changes.split())), PROTOCOLS)


def test_figures(work, monkeypatch):
    exp = work / "ex p/tiny"
    places = [work / "da ta/tiny", exp / "subsegments", exp / "xvectors_made", exp / "paper"]
    arguments = ["--figures=2 3 4 5", "--seeds=0 1", "--", *(str(place.relative_to(work)) for place in places)]
    plan = subprocess.run(
        [sys.executable, LOCAL / "paper/run_figures.py", "plan", *arguments],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    ).stdout
    assert len(plan.splitlines()) == 2 * (2 + 20 + 20)
    monkeypatch.chdir(work)
    leave_results(plan, Inputs(*places[:3]))
    done = run(work, "run_figures.sh", "--seeds", "0 1")
    assert "nothing to do" in done.stderr
    for number in (2, 3, 4, 5):
        picture = (exp / f"paper/figures/figure{number}.png").read_bytes()
        assert picture.startswith(b"\x89PNG\r\n") and len(picture) > 10_000
    assert [row["clusters_median"] for row in table(exp / "paper/figures/figure2.tsv")][:4] == [
        "9.0000",
        "5.0000",
        "2.0000",
        "2.0000",
    ]
    assert len(table(exp / "paper/figures/figure4.tsv")) == 20
    rows = table(exp / "paper/figures/figure5.tsv")
    assert [(row["system"], row["stop.threshold"], row["der_mean"], row["der_sd"]) for row in rows[::15]] == [
        ("dnn_finch_ahc_contrastive", "0.1000", "10.6000", "0.7071"),
        ("conformer_finch_ahc_contrastive", "0.6000", "11.1000", "0.7071"),
    ]
    assert {(row["set"], row["protocol"], row["speech_source"], row["seeds"]) for row in rows} == {
        ("tiny", "forgiving", "webrtc", "0 1")
    }


@pytest.mark.parametrize(
    ("script", "args", "message"),
    [
        ("run_paper.sh", ["--systems", "magic"], "magic.yaml: no such file; expected one of that folder ("),
        ("run_paper.sh", ["--systems", ""], "expected a system or more, none twice, got nothing"),
        ("run_paper.sh", ["--systems", "nmesc nmesc"], "none twice, got nmesc nmesc"),
        ("run_paper.sh", ["--seeds", "0 x"], "expected a whole number from 0, got x"),
        ("run_paper.sh", ["--seeds", "0 00"], "none twice"),
        ("run_paper.sh", ["--num-spk", "2"], "expected some of: oracle estimate, got 2"),
        ("run_paper.sh", ["--protocols", "kind"], "expected some of: forgiving fair full, got kind"),
        ("run_paper.sh", ["--set", "none"], "none/ref.rttm: no such file; expected the reference"),
        (
            "run_paper.sh",
            ["--xvector", "none"],
            "xvectors_none/xvector.scp: no such file; expected x-vectors (stage 4)",
        ),
        ("run_paper.sh", ["--overwrite", "yes"], "expected true or false, got 'yes'"),
        ("run_paper.sh", ["more"], "expected --set <name>, got more"),
        ("run_paper.sh", ["--system", "nmesc"], "unknown option --system"),
        ("run_figures.sh", ["--figures", "1 2"], "expected some of: 2 3 4 5, got 1 2"),
        (
            "run_figures.sh",
            ["--xvector", "none"],
            "xvectors_none/xvector.scp: no such file; expected x-vectors (stage 4)",
        ),
        ("run_figures.sh", ["--num-spk", "oracle estimate"], "invalid choice: 'oracle estimate'"),
    ],
)
def test_bad_options(work, script, args, message):
    lines = run(work, script, *args, rc=1).stderr.splitlines()
    errors = [line for line in lines if ": error: " in line]
    assert len(errors) == 1
    assert message in errors[0]
    assert not (work / "ex p/tiny/paper").exists()


def test_a_set_that_is_not_prepared_names_the_command(work):
    message = run(work, "run_paper.sh", "--xvector", "none", rc=1).stderr
    assert "./run.sh --set tiny --xvector none --data-root 'da ta' --exp-root 'ex p' --stop-stage 4" in message


@pytest.mark.parametrize("folder", ["local", "egs/callhome/local"])
@pytest.mark.parametrize("script", ["run_paper.sh", "run_figures.sh", "run_system.sh"])
def test_help_wherever_the_script_is_called(repo, work, folder, script):
    done = subprocess.run([str(repo / folder / script), "--help"], cwd=work, capture_output=True, text=True, check=True)
    for option in ("--nj", "--cmd", "--overwrite", "--python", "--verbose", "--config"):
        assert f"  {option} <" in done.stdout
