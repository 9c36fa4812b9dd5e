"""The programs of bench/ do what they are asked for; no test looks at what they measure."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from ssdiar.clustering.config import read_system
from ssdiar.io.ark import write_xvector_scp, write_xvectors
from ssdiar.io.meta import write_meta
from ssdiar.io.rttm import write_rttm
from ssdiar.io.segmentation import write_segmentation
from ssdiar.io.tables import write_segments, write_segments_file
from ssdiar.scoring.der import DiarizationError
from ssdiar.timeline.segmentation import Segmentation
from ssdiar.timeline.spans import Segment, Turn

BENCH = Path(__file__).resolve().parents[2] / "bench"
BEST = BENCH.parent / "conf/systems/best.yaml"
HEADER = ["part", "figure", "median", "min", "max", "runs", "unit"]


def run(program, *arguments, rc=0):
    command = [sys.executable, BENCH / f"{program}.py", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == rc, done.stderr
    return done


@pytest.fixture
def program(monkeypatch):
    """Yield a function that imports a program, for this test only."""
    monkeypatch.setattr(sys, "path", [str(BENCH), *sys.path])
    yield importlib.import_module
    for path in BENCH.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def places(tmp_path):
    """Return the options of a set "calls": three recordings of two speakers, who share x-vectors in some turns."""
    exp, data, speech = tmp_path / "exp è/calls", tmp_path / "data è/calls", tmp_path / "data è/calls_speech_cut"
    subsegments, xvectors = exp / "subsegments_cut", exp / "xvectors_campplus_cut"
    for folder in (subsegments, xvectors, data, speech / "segmentation"):
        folder.mkdir(parents=True)
    pieces, ark_places, turns, overlap = [], {}, [], []
    for number, reco in enumerate("abc"):
        rng = np.random.default_rng(number)
        who = (np.arange(60) // 5 + np.isin(np.arange(60) // 5, (3, 6))) % 2
        vectors = rng.standard_normal((2, 12))[who] + 0.3 * rng.standard_normal((60, 12))
        ids = [f"{reco}-{n:03d}" for n in range(60)]
        pieces += [Segment(key, reco, 0.75 * n, 0.75 * (n + 1)) for n, key in enumerate(ids)]
        ark = xvectors / f"{reco}.ark"
        written = write_xvectors(ark, dict(zip(ids, vectors, strict=True)))
        ark_places |= {key: (ark, at) for key, at in written.items()}
        turns += [Turn(reco, f"s{n % 2}", 3.75 * n, 3.75 * (n + 1)) for n in range(11)]  # the last one is non-speech
        overlap.append(Segment(f"{reco}-o", reco, 45.0, 46.0))
        windows = Segmentation(np.full((1, 400, 7), 1 / 7, np.float16), np.array([0]), 0.0, 0.1, 45.0)
        write_segmentation(speech / "segmentation" / f"{reco}.npz", windows)
    write_segments(subsegments, pieces)
    write_segments_file(subsegments / "overlap.segments", overlap)
    write_meta(subsegments, {"second_speaker": True, "close_pauses": 0.8})
    write_xvector_scp(xvectors / "xvector.scp", ark_places)
    write_meta(xvectors, {"xvector_model": "campplus"})
    write_rttm(data / "ref.rttm", turns)
    return ["--data-root", tmp_path / "data è", "--exp-root", tmp_path / "exp è"]


@pytest.mark.parametrize("name", ["speed", "ablation", "counting", "fit"])
def test_every_program_has_help(name):
    assert f"Usage: {name}.py" in run(name, "--help").stdout


def test_help_of_speed_names_every_part(program):
    text = run("speed", "--help").stdout
    for part in program("speed").PARTS:
        assert f"\n{part} " in text


def test_lengths_are_measured_on_both_paths():
    rows = [
        line.split("\t")
        for line in run("speed", "--parts", "lengths", "--sizes", 60, "--repetitions", 1).stdout.splitlines()
    ]
    assert rows[0] == HEADER and {len(row) for row in rows} == {len(HEADER)}
    values = {row[1]: float(row[2]) for row in rows[1:]}
    assert values["60 sub-segments"] > 0 and values["60 sub-segments, FINCH first, peak memory"] > 0
    assert 0 < values["60 sub-segments, same by both paths"] <= 100


def test_audio_is_read_and_made_longer(program, tmp_path):
    import soundfile

    speed = program("speed")
    soundfile.write(tmp_path / "call è.wav", np.linspace(-0.5, 0.5, 8000), 8000)
    (tmp_path / "notes").write_text("no audio\n")
    samples = speed._samples(tmp_path)
    assert [len(one) for one in samples] == [16000]
    assert soundfile.info(speed._write_call(tmp_path / "long", samples, 3) / "call.wav").duration == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parts", "speed"], "--parts: expected some of"),
        (["--repetitions", "0"], "expected a whole number from 1"),
        (["--parts", "rtf", "--audio", "no such"], "no such: no such folder (--audio)"),
        (["more"], "got more"),
    ],
)
def test_bad_options_of_speed(arguments, message):
    done = run("speed", *arguments, rc=1)
    assert message in done.stderr.strip().splitlines()[-1] and done.stdout == ""


def test_all_variants_of_the_ablation_are_systems(program):
    for variants in program("ablation").VARIANTS.values():
        for choice in variants.values():
            read_system(choice)


def test_ablation_compares_with_the_first_choice(places):
    done = run("ablation", *places, "--seeds", 2, "--choices", "xvector_ahc best+consensus.parts=2", "calls")
    header, first, second = (line.split("\t") for line in done.stdout.splitlines())
    assert [row[0] for row in (first, second)] == ["xvector_ahc", "best+consensus.parts=2"]
    at = header.index("difference")
    assert first[at : at + 3] == ["0.00"] * 3
    assert float(second[at]) == pytest.approx(float(second[1]) - float(first[1]), abs=0.011)


def test_a_recording_without_reference_is_an_error(places):
    reference = places[1] / "calls/ref.rttm"
    reference.write_text("".join(line for line in reference.read_text().splitlines(True) if " b " not in line))
    assert "ref.rttm: no reference of recording b" in run("counting", *places, "calls", rc=1).stderr


def test_counting_prints_a_table_per_system(places):
    lines = run("counting", *places, "--systems", "best xvector_ahc", "--seeds", 2, "calls").stdout.splitlines()
    assert [line.split("|")[1].strip() for line in lines if "runs" in line] == [
        "best",
        "xvector_ahc",
    ]
    assert [line.split("|")[2].strip() for line in lines if line.startswith("| 2 speakers")] == ["6", "6"]


def test_counting_table_is_by_number(program):
    counting = program("counting")

    def row(number, found, confusion):
        errors = [DiarizationError(10.0, 1.0, 0.0, value) for value in (confusion, 0.5)]
        return counting.Row(number, found, *errors)

    table = counting.format_table("best", [row(1, 1, 0.0), row(3, 2, 2.0), row(3, 4, 1.0)])
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert cells[2] == ["all", "3", "33 %", "0.67", "+0.00", "20.0", "10.0", "5.0"]
    assert [line[0] for line in cells[3:]] == ["1 speaker", "3 speakers"]


def fitted(text, folder):
    """Read best.yaml with the weights that a program printed, which stand before an empty line."""
    values = yaml.safe_load(BEST.read_text())
    for name, new in yaml.safe_load(text.partition("\n\n")[0]).items():
        values[name] |= new
    (folder / "best.yaml").write_text(yaml.safe_dump(values))
    return read_system(folder / "best.yaml")


def test_number_of_speakers_is_fitted(places, tmp_path):
    text = run("fit", "count", *places, "--test", "calls", "calls").stdout
    system = fitted(text, tmp_path)
    assert system != read_system("best") and 1 <= system.count.temperature <= 3
    assert [line.split(":")[0] for line in text.splitlines() if " right" in line] == [
        f"# {name}, {model}"
        for name in ("calls", "all of --test")
        for model in ("weights", "weights_with_links", "weights_with_likeness")
    ]


def test_only_x_vectors_of_the_model_are_fitted_to(places):
    write_meta(places[3] / "calls/xvectors_campplus_cut", {"xvector_model": "other"})
    assert "expected campplus, got other" in run("fit", "count", *places, "calls", rc=1).stderr


def test_certainty_is_fitted_and_compared_with_the_truth(places, tmp_path):
    text = run("fit", "sure", *places, "--test", "calls", "calls").stdout
    assert len(fitted(text, tmp_path).sure.second) == 2
    lines = text.splitlines()
    heads = [line for line in lines if line.startswith("Number of speakers")]
    assert [head.split()[3] for head in heads] == ["given:", "estimated:"]
    assert "ECE" in heads[0] and "; 0 more" not in heads[0] and "mostly non-speech" in heads[0]
    counts = [int(line.split("|")[2]) for line in lines if line[:3] in ("| 0", "| 5", "| 7", "| 8", "| 9")]
    assert sum(counts) == sum(int(head.split()[4]) for head in heads)


@pytest.mark.parametrize("step", ["count", "sure"])
def test_best_as_it_is_can_be_reported_on(places, step):
    text = run("fit", step, *places, "--test", "calls").stdout
    assert "right" in text and "weights:\n" not in text


def test_logistic_fit_finds_the_weights_of_its_model(program):
    fit, rng = program("fit"), np.random.default_rng(0)
    rows = np.column_stack([np.ones(4000), rng.standard_normal((4000, 2))])
    weights = np.array([0.3, -1.0, 2.0])
    truth, importance = 1 / (1 + np.exp(-rows @ weights)), np.full(4000, 1 / 4000)
    assert fit.fit_logistic(rows, truth, importance, 0.0)[0] == pytest.approx(weights, abs=1e-2)
    means = np.kron(np.eye(2000), [[0.5, 0.5]])  # observations of two rows each
    found, _ = fit.fit_logistic(rows, means @ truth, np.full(2000, 1 / 2000), 0.0, means)
    assert found == pytest.approx(weights, abs=5e-2)
    shrunk, loss = fit.fit_logistic(rows, truth, importance, 1.0)
    assert loss > fit.fit_logistic(rows, truth, importance, 0.0)[1]
    assert (np.abs(shrunk[1:]) < np.abs(weights[1:])).all()


def test_simulation_makes_sets_and_test_sets_of_other_voices(program, monkeypatch, tmp_path, capsys):
    fit, calls = program("fit"), []
    sets = {"one": fit._Set(5, 40, "1", "20-60"), "long": fit._Set(6, 20, "2", "300", prompts=True)}
    monkeypatch.setattr(fit, "_SETS", sets)
    monkeypatch.setattr(fit, "_call", lambda name, *arguments: calls.append((name, *map(str, arguments))))
    monkeypatch.setattr(sys, "argv", ["fit.py", "simulate", "--readers", "elsewhere", str(tmp_path / "à fit")])
    for name in ("readers/r1", "readers/r2", "readers/r3", "prompts/allison_en", "prompts/july_es"):
        (tmp_path / "à fit" / name).mkdir(parents=True)
    fit.main()
    assert calls[0][:3] == ("local/fetch_readers.py", "--source", "elsewhere")
    made = [call for call in calls if call[0] == "local/simulate_calls.py"]
    sizes = [(call[call.index("--prefix") + 1], call[call.index("--num-calls") + 1]) for call in made]
    assert sizes == [("one", "40"), ("long", "20"), ("test_one", "14"), ("test_long", "7")]
    assert len({call[call.index("--seed") + 1] for call in made}) == 4
    voices = [sorted(path.name for path in Path(call[-2]).iterdir()) for call in made]
    assert voices == [["allison_en", "r2", "r3"], ["allison_en"], ["july_es", "r1"], ["july_es"]]
    assert [call[call.index("--set") + 1] for call in calls if call[0] == "run.sh"] == [name for name, _ in sizes]
    commands = capsys.readouterr().out.splitlines()
    assert [command.split()[1] for command in commands] == ["count", "sure"]
    assert all(command.endswith('--test "test_one test_long" one long') for command in commands)


def test_alike_voices_are_paired(program, monkeypatch, tmp_path):
    fit = program("fit")
    means = {"a": [1, 0.1, 0], "b": [1, 0, 0], "c": [0, 1, 0], "d": [0, 1, 0.2], "e": [0, 0, 1]}
    monkeypatch.setattr(fit, "load_model", lambda config: None)
    monkeypatch.setattr(fit, "_mean_vector", lambda model, folder: np.array(means[folder.name], float))
    for name in (*means, "allison_en"):
        (tmp_path / name).mkdir()
    assert sorted(fit._alike(tmp_path, 2)) == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["fit", "sure"], "nothing to fit to"), (["counting"], "<set>"), (["ablation", "--of", "x", "a"], "--of")],
)
def test_bad_options(arguments, message):
    assert message in run(*arguments, rc=1).stderr
