"""Whole runs of run.sh, as a user types them, in a copy of the repository."""

import filecmp
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import packaging
import pytest
import soundfile
from running import copy_repository

from ssdiar.io.rttm import read_rttm
from ssdiar.io.transcripts import Word

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
SYSTEMS = ("xvector_ahc", "xvector_ahc_centred", "conformer_finch_ahc_contrastive", "best")


def run(recipe, *options, ok=True, command=("./run.sh",), **more):
    """Run run.sh in a recipe directory, with ``more`` in its environment; return the finished process."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | more
    result = subprocess.run(
        [*command, *options], cwd=recipe, env=environment, capture_output=True, text=True, check=False
    )
    assert (result.returncode == 0) == ok, result.stderr[-3000:]
    return result


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Return a copy of the repository, without what was made in it, at a path with a space and an umlaut."""
    copy = tmp_path_factory.mktemp("a clöne") / "repo"
    copy_repository(copy)
    return copy


@pytest.fixture(scope="module")
def mini(recipe):
    """Return the recipe after ./run.sh without any option, and what that printed."""
    return recipe, run(recipe)


def test_run_without_options_prepares_mini_and_scores_four_systems(mini):
    recipe, result = mini
    scores = {
        system: json.loads((recipe / f"exp/mini/{system}/score/forgiving.json").read_text()) for system in SYSTEMS
    }
    assert scores["best"]["der"] < scores[SYSTEMS[2]]["der"] < scores[SYSTEMS[0]]["der"] < 0.6
    assert scores[SYSTEMS[1]]["der"] < scores[SYSTEMS[0]]["der"] / 2, "centring is most of the gap"
    for system, score in scores.items():
        assert f"exp/mini/{system}/rttm" in result.stdout
        count = "estimated" if system == "best" else r"2 \(given\)"
        shown = rf"^{system} +pyannote +{count} +campplus .*{100 * score['der']:.2f} +[0-9.]+$"
        assert re.search(shown, result.stdout, re.MULTILINE), result.stdout
        histories = sorted(path.stem for path in (recipe / f"exp/mini/{system}/history").iterdir())
        assert histories == sorted(score["recordings"])
        assert {turn.reco for turn in read_rttm(recipe / f"exp/mini/{system}/rttm")} == set(histories)
    assert "phone_sample" in histories
    assert (recipe / "exp/mini/report/table.md").is_file()


def test_the_examples_of_the_readme_are_what_run_sh_prints(mini, tmp_path):
    """The first example is of `best` without a reference. Figures may differ a little, as between processors."""
    recipe, result = mini
    shutil.copytree(recipe / "exp/mini/best", tmp_path / "calls/best", ignore=shutil.ignore_patterns("score"))
    (tmp_path / "data").mkdir()
    for table in ("wav.scp", "reco2dur"):
        shutil.copy(recipe / "data/mini" / table, tmp_path / "data")
    report = ["--audio", "link", "--data-dir", *(str(tmp_path / name) for name in ("data", "calls", "report"))]
    printed = [run(recipe, *report, command=["steps/diar/make_report.sh"]).stdout, result.stdout]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", (recipe / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    examples = [text for language, text in blocks if not language]
    for example, text in zip(examples, printed, strict=True):
        (start, end), made = (part.splitlines() for part in example.split("...\n")), text.splitlines()
        shown, made = start + end, made[: len(start)] + made[len(made) - len(end) :]
        for line, now in zip(shown, made, strict=True):
            assert _NUMBER.sub("#", line).split() == _NUMBER.sub("#", now).split()
            for a, b in zip(_NUMBER.findall(line), _NUMBER.findall(now), strict=True):
                assert abs(float(a) - float(b)) <= (0.3 if "." in a else 1), f"README: {line}\nnow: {now}"


def test_the_paper_discards_overlap_and_what_is_heard_is_shared(mini):
    recipe, result = mini
    heard = {
        name: json.loads((recipe / f"data/mini_{name}/meta.json").read_text()) for name in ("speech", "speech_cut")
    }
    assert [(one["options"]["overlap"], one["options"]["changes"]) for one in heard.values()] == [
        ("drop", "ignore"),
        ("label", "cut"),
    ]
    discarded = [(recipe / f"data/mini_{name}/overlap.segments").read_text() for name in heard]
    assert len(discarded[0].splitlines()) > 10
    assert len(result.stderr.split("== Stage 2")) == len(result.stderr.split("== Stage 4")) == 3
    for one in (recipe / "data/mini_speech/segmentation").iterdir():
        assert filecmp.cmp(one, recipe / f"data/mini_speech_cut/segmentation/{one.name}", shallow=False)
    two = [turn for turn in read_rttm(recipe / "exp/mini/best/rttm") if turn.reco == "sim-0001"]
    one = [turn for turn in read_rttm(recipe / f"exp/mini/{SYSTEMS[2]}/rttm") if turn.reco == "sim-0001"]
    assert overlapped(two) and not overlapped(one), "a second speaker in overlap is ours, not the paper's"


def overlapped(turns):
    return [right for left, right in itertools.pairwise(turns) if right.start < left.end - 1e-6]


def test_a_second_run_skips_what_is_done_and_changes_nothing(mini):
    recipe, _ = mini
    before = {path: path.stat().st_mtime_ns for path in (recipe / "exp").rglob("*") if path.name in ("labels", "rttm")}
    started = os.times()
    result = run(recipe)
    used = os.times()
    processor = used.children_user + used.children_system - started.children_user - started.children_system
    assert processor < 60
    assert (result.stdout + result.stderr).count("nothing to do") == 8
    assert before and all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())


def test_own_audio_without_reference_gives_rttm_whatever_nj_and_order(mini, tmp_path):
    recipe, _ = mini
    audio = tmp_path / "calls from häuser"
    audio.mkdir()
    for number, name in enumerate(("sim-0001", "sim-0002")):
        shutil.copy(recipe / f"data/mini/wav/{name}.flac", audio / f"call {number}.flac")
    stages = ["--audio", str(audio), "--set", "own", "--systems", SYSTEMS[1]]
    outputs = []
    for jobs in ("1", "2"):
        data, exp = tmp_path / f"dätä; ({jobs}) & $HOME", tmp_path / f'it\'s `exp` "{jobs}" | JOB'
        roots = ["--data-root", str(data), "--exp-root", str(exp)]
        result = run(recipe, *stages, *roots, "--nj", jobs)
        assert "no reference" in result.stderr
        assert re.search(r"^call_1 +2:00 +2 +speaker[12] \d:\d\d \(\d+%\), speaker", result.stdout, re.MULTILINE)
        outputs.append(exp / f"own/{SYSTEMS[1]}/rttm")
    assert filecmp.cmp(*outputs, shallow=False)
    assert {turn.reco for turn in read_rttm(outputs[0])} == {"call_0", "call_1"}


def test_own_audio_is_done_by_best_with_an_estimated_count(mini, tmp_path):
    recipe, _ = mini
    audio = tmp_path / "audio"
    audio.mkdir()
    calls = ("sim-0001", "sim-0002")
    for name in calls:
        shutil.copy(recipe / f"data/mini/wav/{name}.flac", audio)
    reference = (recipe / "data/mini/ref.rttm").read_text().splitlines(keepends=True)
    (tmp_path / "ref.rttm").write_text("".join(line for line in reference if line.split()[1] in calls))
    options = ["--audio", str(audio), "--set", "own", "--rttm", str(tmp_path / "ref.rttm")]
    result = run(recipe, *options, "--data-root", str(tmp_path / "data"), "--exp-root", str(tmp_path / "exp"))
    assert re.search(r"^best +pyannote +estimated +campplus ", result.stdout, re.MULTILINE), result.stdout
    score = json.loads((tmp_path / "exp/own/best/score/forgiving.json").read_text())
    assert [score["recordings"][call]["num_spk_sys"] for call in calls] == [2, 2]
    assert score["confusion"] < 0.05
    options = json.loads((tmp_path / "data/own_speech_cut/meta.json").read_text())["options"]
    assert (options["changes"], options["overlap"]) == ("cut", "label")
    command = [sys.executable, "-m", "ssdiar", str(audio)]
    printed = subprocess.run(
        [*command, "--out", str(tmp_path / "out"), "--format", "rttm,json,csv"],
        env=os.environ | {"PYTHONPATH": str(recipe / "steps" / "libs")},
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    rows = [line.split()[:3] for line in printed.splitlines()[2:-1]]
    assert sorted(rows) == [[name, "2:00", "2"] for name in calls]
    texts = [(tmp_path / f"out/{name}.rttm").read_text() for name in calls]
    assert "".join(texts) == (tmp_path / "exp/own/best/rttm").read_text()
    found = json.loads((tmp_path / "out/sim-0001.json").read_text())
    assert found["num_spk"] == len(found["speakers"]) == 2 and found["turns"][0]["start"] < 10
    assert {"sim-0001.csv", "sim-0002.json"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_a_voice_has_one_name_in_all_calls(mini, tmp_path):
    from ssdiar import diarize

    recipe, _ = mini
    system = shutil.copytree(recipe / "exp/mini/best", tmp_path / "a system")
    reference = [turn for turn in read_rttm(recipe / "data/mini/ref.rttm") if turn.reco != "phone_sample"]

    def voices():
        """Return the reference's voice of each speaker that has a name in the RTTM, by recording and name."""
        talk = {}
        for turn in read_rttm(system / "rttm"):
            for other in (other for other in reference if other.reco == turn.reco):
                shared = min(turn.end, other.end) - max(turn.start, other.start)
                own = talk.setdefault((turn.reco, turn.speaker), {})
                own[other.speaker] = own.get(other.speaker, 0) + max(0, shared)
        return {key: max(own, key=own.get) for key, own in talk.items() if not key[1].startswith("speaker")}

    run(recipe, system, command=["steps/diar/name_speakers.sh"])
    found = {(name, voice) for (_, name), voice in voices().items()}
    assert len(voices()) == 2 * len(found) >= 12, "every voice of mini is in two calls"
    assert len({name for name, _ in found}) == len({voice for _, voice in found}) == len(found)

    samples, rate = soundfile.read(recipe / "data/mini/wav/sim-0001.flac")
    (tmp_path / "known" / "Carlo I.").mkdir(parents=True)
    own = [t for t in reference if t.reco == "sim-0001" and t.speaker == "carlo_it"][:8]
    speech = np.concatenate([samples[int(turn.start * rate) : int(turn.end * rate)] for turn in own])
    soundfile.write(tmp_path / "known/Carlo I./1.wav", speech, rate)
    known = ["--known", tmp_path / "known"]
    run(recipe, *known, "--vectors", "true", system, command=["steps/diar/name_speakers.sh"])
    assert voices() == {(reco, "Carlo_I."): "carlo_it" for reco in ("sim-0001", "sim-0005")}
    entries = {entry["recording"]: entry for entry in json.loads((system / "result.json").read_text())["recordings"]}
    speakers = {one["name"]: one for one in entries["sim-0005"]["speakers"]}
    assert speakers["Carlo_I."]["name_probability"] > 0.9 and len(speakers["Carlo_I."]["vector"]) == 192
    lines = [line for line in (system / "rttm").read_text().splitlines(keepends=True) if line.split()[1] == "sim-0005"]
    result = diarize(recipe / "data/mini/wav/sim-0005.flac", known=tmp_path / "known")
    assert result.to_rttm() == "".join(lines) and result.names.keys() == {"Carlo_I."} <= result.vectors.keys()


def test_diarize_takes_samples_a_given_number_tight_turns_and_words(mini):
    import soundfile

    from ssdiar import InputError, diarize

    samples, rate = soundfile.read(mini[0] / "data/mini/wav/sim-0001.flac")
    samples, told = samples[: 40 * rate], []
    closed = diarize((samples, rate), num_spk=3, progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (40.0, 40.0) and told == sorted(told)
    assert (closed.recording, closed.file, closed.duration) == ("audio", None, 40.0)
    assert closed.summary["num_spk_probability"] is None
    assert sorted(speaker["name"] for speaker in closed.speakers) == ["speaker1", "speaker2", "speaker3"]
    assert sum(speaker["share"] for speaker in closed.speakers) == pytest.approx(1, abs=1e-3)
    assert closed.vectors.keys() == {"speaker1", "speaker2", "speaker3"} and closed.vectors["speaker1"].shape == (192,)
    tight = diarize((samples, rate), num_spk=3, turns="tight")
    lengths = [sum(turn.end - turn.start for turn in result.turns) for result in (tight, closed)]
    assert 0.5 * lengths[1] < lengths[0] < lengths[1]
    turn = closed.turns[0]
    (word,) = closed.assign_words([Word("whatever", "yes", turn.start, turn.start + 0.01)])
    assert word.speaker == turn.speaker
    silence = diarize((np.zeros(16000), 8000))
    assert (silence.turns, silence.speakers, silence.to_rttm(), silence.to_srt()) == ((), [], "", "")
    assert json.loads(silence.to_json())["turns"] == []
    for options, message in (
        ({"num_spk": 0}, "num_spk; expected a whole number from 1"),
        ({"num_spk": "3-2"}, "expected 2-3, got 3-2"),
        ({"channels": 3}, "expected auto, mix, parties or a channel from 1 to 1"),
        ({"turns": "wide"}, "expected closed or tight"),
        ({"system": "none_such"}, "none_such.yaml: no such file"),
    ):
        with pytest.raises(InputError, match=message):
            diarize((samples, rate), **options)


@pytest.mark.parametrize(
    ("options", "is_enough"),
    [
        (["--systems", "best xvector_ahc nmesc"], True),
        ([], False),
        (["--systems", "best", "--xvector", "speechbrain"], False),
        (["--systems", "best", "--sad", "silero"], False),
        (["--systems", "best dnn_ahc_triplet+literal"], False),
    ],
)
def test_the_small_environment_is_asked_for_where_it_is_enough(recipe, tmp_path, options, is_enough):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True, timeout=300)
    shutil.copytree(
        Path(packaging.__file__).parent, next(tmp_path.glob("bare/lib/python*/site-packages")) / "packaging"
    )
    python = ["--python", str(tmp_path / "bare/bin/python3")]
    missing = run(recipe, *options, *python, "--stop-stage", "0", ok=False).stderr
    assert "onnxruntime" in missing and ("tensorflow" in missing) != is_enough


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--thresold", "1"], "unknown option --thresold"),
        (["--nj"], "--nj needs a value"),
        (["--nj", "0"], "--nj: expected a whole number from 1"),
        (["--num-spk", "0"], "bad --num-spk; expected a number from 1"),
        (["--turns", "wide"], "--turns: expected closed or tight"),
        (["--audio", "/no/such/folder", "--set", "x"], "/no/such/folder: no such file or folder"),
        (["--audio", ".", "--data", "--channels left"], "--channels: expected auto, mix, parties or a whole number"),
        (["--audio", ".", "--channels", "1"], "--channels is not used any more; give it in --data"),
        (["--systems", "none_such"], "none_such.yaml: no such file"),
        (["--systems", "best+free"], "free.yaml: no such file"),
        (["--rttm", "x"], "--rttm and --uem go with --audio"),
        (["--set", "none_such", "--stage", "1"], "unknown corpus"),
        (["extra"], "expected options only, got 'extra'"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_touches_nothing(recipe, tmp_path, options, message):
    roots = ["--data-root", str(tmp_path / "data"), "--exp-root", str(tmp_path / "exp")]
    result = run(recipe, *roots, *options, ok=False)
    errors = [line for line in result.stderr.splitlines() if "error:" in line]
    assert len(errors) == 1 and message in errors[0]
    assert not (tmp_path / "data/none_such").exists()


@pytest.mark.parametrize(
    ("command", "setting"),
    [
        (["sh", "run.sh"], {}),
        (["bash", "--posix", "run.sh"], {}),
        (["./run.sh"], {"POSIXLY_CORRECT": "1"}),
        (["./run.sh"], {"PYTHONSAFEPATH": "1"}),
    ],
)
def test_settings_of_the_shell_and_of_python_do_not_matter(recipe, tmp_path, command, setting):
    """Of run.sh, of a stage by hand, and of a program."""
    soundfile.write(tmp_path / "call.wav", np.zeros(8000), 8000)
    roots = ["--data-root", str(tmp_path / "data"), "--exp-root", str(tmp_path / "exp")]
    run(recipe, *roots, "--audio", str(tmp_path / "call.wav"), "--stop-stage", "1", command=command, **setting)
    assert (tmp_path / "data/call/wav.scp").is_file()
    (tmp_path / "data/call/segments").write_text("call-1 call 0 1\n")
    by_hand = [*command[:-1], "steps/diar/make_subsegments.sh"]
    run(recipe, str(tmp_path / "data/call"), str(tmp_path / "out"), command=by_hand, **setting)
    assert (tmp_path / "out/segments").read_text()
    run(recipe, "--help", command=[sys.executable, "local/simulate_calls.py"], **setting)


def test_help_names_every_option(recipe):
    text = run(recipe, "--help").stdout
    options = re.findall(r"^([a-z_]+)=", (recipe / "run.sh").read_text().split("# End configuration")[0], re.MULTILINE)
    assert options and all(f"--{option.replace('_', '-')} " in text for option in options)
