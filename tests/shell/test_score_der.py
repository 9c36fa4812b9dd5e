"""score_der.sh as users call it: figures, files, protocols, the official programs, and bad input."""

import json

import pytest
from running import DIAR, run_script


def rttm(path, text):
    """Write ``"reco speaker start duration, ..."`` as RTTM."""
    rows = [item.split() for item in text.split(",") if item.strip()]
    lines = [f"SPEAKER {r} 1 {start} {length} <NA> <NA> {s} <NA> <NA>\n" for r, s, start, length in rows]
    path.write_text("".join(lines))


@pytest.fixture
def work(tmp_path):
    """A data directory and a system, below a path with a space and a non-ASCII letter."""
    root = tmp_path / "diarización de prueba"
    (root / "data").mkdir(parents=True)
    (root / "exp").mkdir()
    rttm(root / "data/ref.rttm", "good A 1 4, good B 6 4, bad.call A 1 4, bad.call B 6 4, lost A 2 2")
    rttm(root / "exp/rttm", "good 1 1 4, good 2 6 4, bad.call 1 0 10, mute 1 3 1.5")
    uem = "".join(f"{reco} 1 0 12\n" for reco in ("good", "bad.call", "lost", "mute"))
    (root / "data/all.uem").write_text(uem)
    return root


def run(work, *options, rc=0, args=("data", "exp"), script=DIAR / "score_der.sh", **env):
    return run_script(script, *options, *args, cwd=work, rc=rc, **{"MDEVAL": None, "DSCORE_ROOT": None, **env})


def read(work, protocol):
    return json.loads((work / "exp/score" / f"{protocol}.json").read_text())


def error_line(done):
    lines = [line for line in done.stderr.splitlines() if " error: " in line]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_scores_of_the_same_input_are_told_again_and_not_made_again(work):
    first = run(work)
    before = {path: path.stat().st_mtime_ns for path in (work / "exp/score").iterdir()}
    again = run(work)
    assert "exp/score is up to date" in again.stderr
    assert [line for line in again.stderr.splitlines() if "DER" in line] == [
        line for line in first.stderr.splitlines() if "DER" in line
    ]
    assert before == {path: path.stat().st_mtime_ns for path in (work / "exp/score").iterdir()}
    for change in (
        lambda: run(work, "--speech-source", "oracle"),
        lambda: (work / "exp/score/full.txt").unlink() or run(work, "--speech-source", "oracle"),
        lambda: rttm(work / "exp/rttm", "good 1 1 4") or run(work, "--speech-source", "oracle"),
    ):
        assert "up to date" not in getattr(change(), "stderr", "")
    assert (work / "exp/score/full.txt").exists() and read(work, "full")["der"] > 0.5
    collars = [run(work, "--collar", collar) and read(work, "custom")["collar"] for collar in ("0.1", "0.3")]
    assert collars == [0.1, 0.3]


def test_three_protocols(work):
    done = run(work, "--speech-source", "oracle", "--num-spk-source", "oracle", "--xvector-model", "campplus")
    assert sorted(path.name for path in (work / "exp/score").iterdir()) == sorted(
        f"{name}.{kind}" for name in ("forgiving", "fair", "full") for kind in ("json", "txt")
    )
    full = read(work, "full")
    recordings = full.pop("recordings")
    # Scored 8 + 8 + 2 s; lost is missed; bad.call has 4 s of the wrong speaker and 2 s too much; mute 1.5 s too much.
    assert full == {
        "protocol": "full",
        "collar": 0.0,
        "ignore_overlap": False,
        "uem": "data/all.uem",
        "der": pytest.approx(9.5 / 18),
        "jer": pytest.approx((0 + 0 + 0.6 + 1 + 1) / 5),
        "miss": pytest.approx(2 / 18),
        "false_alarm": pytest.approx(3.5 / 18),
        "confusion": pytest.approx(4 / 18),
        "scored_seconds": 18.0,
        "miss_seconds": 2.0,
        "false_alarm_seconds": 3.5,
        "confusion_seconds": 4.0,
        "scorer": "ssdiar",
        "speech_source": "oracle",
        "num_spk_source": "oracle",
        "xvector_model": "campplus",
    }
    assert list(recordings) == ["bad.call", "good", "lost", "mute"]
    assert (recordings["lost"]["der"], recordings["lost"]["jer"], recordings["mute"]["jer"]) == (1.0, 1.0, None)
    assert (recordings["bad.call"]["num_spk_ref"], recordings["bad.call"]["num_spk_sys"]) == (2, 1)
    assert recordings["mute"]["der"] is None
    assert recordings["mute"]["false_alarm_seconds"] == 1.5
    assert read(work, "fair")["collar"] == 0.25
    assert (read(work, "forgiving")["ignore_overlap"], read(work, "forgiving")["jer"]) == (True, full["jer"])
    assert "WARNING: 1 recordings have a reference and no system output" in done.stderr
    assert done.stdout == ""


def test_text_has_the_worst_first_and_names_its_terms(work):
    run(work, "--protocols", "full")
    lines = (work / "exp/score/full.txt").read_text().splitlines()
    order = [line.split()[0] for line in lines if not line.startswith("#")]
    assert order == ["recording", "mute", "lost", "bad.call", "good", "TOTAL"]
    total = next(line for line in lines if line.startswith("TOTAL"))
    assert total.split()[1:7] == ["52.78", "52.00", "11.11", "19.44", "22.22", "18.00"]
    for term in ("full", "collar 0 s", "overlapped speech scored", "UEM data/all.uem", "scorer ssdiar"):
        assert term in total
    assert "mute (1.50 s)" in lines[-1]
    assert not (work / "exp/score/fair.json").exists()


def test_a_rerun_changes_nothing(work):
    run(work)
    stamps = {path: path.stat().st_mtime_ns for path in (work / "exp/score").iterdir()}
    run(work)
    assert stamps == {path: path.stat().st_mtime_ns for path in (work / "exp/score").iterdir()}


def test_custom_protocol(work):
    run(work, "--collar", "0.5")
    assert [path.name for path in sorted((work / "exp/score").iterdir())] == ["custom.json", "custom.txt"]
    custom = read(work, "custom")
    assert (custom["protocol"], custom["collar"], custom["ignore_overlap"]) == ("custom", 0.5, False)
    assert custom["scored_seconds"] == 13.0
    run(work, "--ignore-overlap", "true")
    assert (read(work, "custom")["collar"], read(work, "custom")["ignore_overlap"]) == (0.0, True)


def test_without_uem_it_warns_and_scores_the_reference_extent(work):
    (work / "data/all.uem").unlink()
    rttm(work / "exp/rttm", "good 1 1 4, good 2 6 4, bad.call 1 0 10")
    done = run(work, "--protocols", "full")
    assert "WARNING: no UEM" in done.stderr
    full = read(work, "full")
    assert full["uem"] is None
    assert full["false_alarm_seconds"] == 1.0, "the silence between the turns, not that before them"
    assert "no UEM" in (work / "exp/score/full.txt").read_text()


def test_other_reference_and_uem(work):
    rttm(work / "other ref", "good A 1 4")
    rttm(work / "exp/rttm", "good x 1 4")
    (work / "other uem").write_text("good 1 0 3\n")
    run(work, "--ref", "other ref", "--uem", "other uem", "--protocols", "full")
    assert (read(work, "full")["scored_seconds"], read(work, "full")["der"]) == (2.0, 0.0)


def test_empty_system_output_is_all_miss(work):
    (work / "exp/rttm").write_text("")
    run(work)
    assert [read(work, name)["miss"] for name in ("forgiving", "fair", "full")] == [1.0, 1.0, 1.0]


def test_through_a_link_from_another_recipe(work):
    (work / "diar").symlink_to(DIAR)
    run(work, "--protocols", "full", script="diar/score_der.sh")
    assert read(work, "full")["scored_seconds"] == 18.0


def test_official_md_eval_agrees(work, need):
    need("md-eval.pl")
    names = ("forgiving", "fair", "full")
    run(work)
    own_scores = [read(work, name) for name in names]
    run(work, "--scorer", "md-eval")
    for ours, official in zip(own_scores, (read(work, name) for name in names), strict=True):
        assert official["scorer"] == "md-eval"
        for key in ("der", "miss", "false_alarm", "confusion"):
            assert official[key] == pytest.approx(ours[key], abs=1e-3)
            for reco in ("good", "bad.call", "lost"):
                assert official["recordings"][reco][key] == pytest.approx(ours["recordings"][reco][key], abs=1e-3)
        assert official["recordings"]["mute"]["der"] is None, "md-eval prints nothing for it, but pools it"
        assert official["false_alarm_seconds"] == pytest.approx(ours["false_alarm_seconds"], abs=0.006)


# Prints what dscore prints of its command line below (commit e02f949, --table_fmt tsv --n_digits 6), figures made up.
STAND_IN = """
import sys
assert sys.argv[1:] == ["--collar", "0.25", "--n_digits", "6", "--table_fmt", "tsv", "--ignore_overlaps",
                        "-u,--uem", "all.uem", "-r", "ref.rttm", "-s", "sys.rttm"], sys.argv
print("File           \\t      DER\\t     JER")
print("r000000        \\t30.250000\\t1.0\\nr000001        \\t12.500000\\t1.0\\nr000002        \\t100.000000\\t1.0")
print("*** OVERALL ***\\t25.125000\\t1.0")
"""


@pytest.mark.parametrize("scorer", ["ssdiar", "md-eval"])
@pytest.mark.parametrize("uem", [True, False])
def test_noscore_regions_are_not_scored(work, scorer, uem, need):
    need("md-eval.pl")
    rttm(work / "data/ref.rttm", "good A 1 4, good B 6 4, bad.call A 1 4, bad.call B 6 4")
    with (work / "data/ref.rttm").open("a") as stream:
        stream.writelines(f"NOSCORE {line} <NA> <NA> <NA> <NA>\n" for line in ("good 1 1 2", "bad.call 1 0 12"))
    rttm(work / "exp/rttm", "good 1 3 2, good 2 6 4, bad.call 1 0 12")
    if not uem:
        (work / "data/all.uem").unlink()
    run(work, "--scorer", scorer, "--protocols", "full")
    assert (read(work, "full")["der"], read(work, "full")["scored_seconds"]) == (0, 6)


def test_a_reference_without_a_speaker(work):
    (work / "data/ref.rttm").write_text("SPEAKER good 1 1 4 <NA> <NA>  0.9 <NA>\n")
    assert "data/ref.rttm:1: the name of the speaker is missing" in error_line(run(work, rc=1))
    assert not (work / "exp/score").exists()


def test_dscore_gives_the_der_alone(work):
    root = work / "dscore"
    (root / "scorelib").mkdir(parents=True)
    (root / "score.py").write_text(STAND_IN)
    (root / "scorelib/metrics.py").touch()
    rttm(work / "exp/rttm", "good 1 1 4, good 2 6 4, bad.call 1 0 10")
    (work / "data/all.uem").write_text("good 1 0 12\nbad.call 1 0 12\nlost 1 0 12\n")
    options = ("--scorer", "dscore", "--protocols", "forgiving")
    done = run(work, *options, rc=1, DSCORE_ROOT=str(root))
    assert "not the dscore of github nryant/dscore; expected a file scorelib/md-eval-22.pl" in error_line(done)
    (root / "scorelib/md-eval-22.pl").touch()
    run(work, *options, DSCORE_ROOT=str(root))
    result = read(work, "forgiving")
    assert (result["scorer"], result["der"], result["miss"], result["scored_seconds"]) == (
        "dscore",
        0.25125,
        None,
        None,
    )
    assert {reco: row["der"] for reco, row in result["recordings"].items()} == {
        "bad.call": 0.3025,
        "good": 0.125,
        "lost": 1.0,
    }


def test_what_dscore_lacks_is_named(work):
    root = work / "dscore"
    (root / "scorelib").mkdir(parents=True)
    (root / "score.py").write_text("import intervaltree_that_is_not_there\n")
    for name in ("scorelib/metrics.py", "scorelib/md-eval-22.pl"):
        (root / name).touch()
    rttm(work / "exp/rttm", "good 1 1 4, good 2 6 4, bad.call 1 0 10")
    (work / "data/all.uem").write_text("good 1 0 12\nbad.call 1 0 12\nlost 1 0 12\n")
    done = run(work, "--scorer", "dscore", rc=1, DSCORE_ROOT=str(root))
    assert "dscore lacks the package intervaltree_that_is_not_there" in error_line(done)
    assert "pip install intervaltree numpy scipy tabulate" in done.stderr


def test_dscore_is_not_given_what_it_cannot_score(work):
    root = work / "dscore"
    (root / "scorelib").mkdir(parents=True)
    for name in ("score.py", "scorelib/metrics.py", "scorelib/md-eval-22.pl"):
        (root / name).touch()
    done = run(work, "--scorer", "dscore", rc=1, DSCORE_ROOT=str(root))
    assert "dscore cannot score mute: no reference speech is left" in error_line(done)
    assert not (work / "exp/score").exists()


@pytest.mark.parametrize(
    ("options", "env", "message"),
    [
        (("--scorer", "dscore"), {}, "DSCORE_ROOT is not set"),
        (("--scorer", "md-eval"), {"MDEVAL": "/nowhere/md-eval.pl"}, "/nowhere/md-eval.pl: no md-eval.pl there"),
        (("--protocols", "full strict"), {}, "bad --protocols; expected some of: forgiving fair full, got strict"),
        (("--protocols", " "), {}, "bad --protocols"),
        (("--uem", "none"), {}, "none: no such file"),
        (("--ref", "none"), {}, "none: no such file"),
        (("--colar", "0"), {}, "--colar"),
    ],
)
def test_bad_options(work, options, env, message):
    assert message in error_line(run(work, *options, rc=1, **env))
    assert not (work / "exp/score").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scorer", "pyannote"), "expected ssdiar, md-eval or dscore, got pyannote"),
        (("--collar", "-1"), "expected a number from 0"),
        (("--ignore-overlap", "yes"), "expected true or false"),
    ],
)
def test_bad_values(work, options, message):
    assert message in error_line(run(work, *options, rc=1))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("data/ref.rttm", "SPEAKER good 1 0 1 A\n", "data/ref.rttm:1: wrong number of fields"),
        ("exp/rttm", "SPEAKER good 1 0 nan <NA> <NA> A <NA> <NA>\n", "exp/rttm:1: bad duration"),
        ("exp/rttm", "SPEAKER typo 1 0 2 <NA> <NA> A <NA> <NA>\n", "exp/rttm: 1 recordings have no reference: typo"),
        ("data/all.uem", "good 1 5 4\n", "data/all.uem:1: region has no length"),
        ("data/ref.rttm", None, "data/ref.rttm: no such file; expected the reference"),
        ("exp/rttm", None, "exp/rttm: no such file; expected the output of make_rttm.sh"),
    ],
)
def test_bad_input_touches_nothing(work, file, text, message):
    (work / "exp/score").mkdir()
    (work / "exp/score/full.json").write_text("of an earlier run")
    (work / file).unlink()
    if text is not None:
        (work / file).write_text(text)
    assert message in error_line(run(work, rc=1))
    assert [path.name for path in (work / "exp/score").iterdir()] == ["full.json"]
    assert (work / "exp/score/full.json").read_text() == "of an earlier run"


def test_usage(work):
    done = run(work, "--help", args=())
    assert "Usage:" in done.stdout
    for option in ("protocols", "collar", "ignore-overlap", "uem", "ref", "scorer", "speech-source", "python"):
        assert f"--{option} " in done.stdout
    assert "expected <data-dir> <exp-dir>, got 1 arguments" in error_line(run(work, rc=1, args=("data",)))
