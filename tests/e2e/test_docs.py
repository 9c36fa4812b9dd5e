"""Every command of the documents works, and everything that they name exists.

Commands are in ```sh blocks. RUN turns a command into a cheap one that runs here; DEAR lists commands that are not run,
whose programs and options are looked up. A command in neither fails test_every_command_is_accounted_for. Programs,
options, choices and files that the text names in `code` must exist, and links must lead somewhere.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
from running import copy_repository

import ssdiar
from ssdiar.clustering.config import read_system
from ssdiar.io.ark import write_xvector_scp, write_xvectors
from ssdiar.io.tables import write_segments
from ssdiar.speech.source import read_sad
from ssdiar.timeline.spans import Segment
from ssdiar.xvectors.models import read_model_config

REPO = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("README.md", "CONTRIBUTING.md", "RESULTS.md", "docs/*.md", "egs/*/README.md")
    for path in REPO.glob(pattern)
)
_PROGRAM = re.compile(r"(?:\./)?(?:run\.sh|(?:[\w.]+/)+\w+\.(?:sh|py))")

# Pattern of a command, and its replacement; the first match runs in the folder that `world` makes.
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
    (r"ssdiar (?:~/calls/)?call\.wav (.*)", r"PYTHONPATH=steps/libs .venv/bin/python3 -m ssdiar ~/calls/call.wav \1"),
    (r"steps/diar/(cluster_ssl|make_rttm)\.sh .*kaldi/exp/xvectors .*", r"\g<0>"),
    (r"(steps/diar/use_corrections\.sh exp/calls/best) ~/Downloads/.*", r"\1 exp/calls/best/rttm"),
    (r"steps/diar/use_corrections\.sh --drop all exp/calls/best", r"\g<0>"),
    (r"steps/diar/name_speakers\.sh .*exp/calls/.*", r"\g<0>"),
    (r"steps/diar/export_rttm\.sh exp/calls/.*", r"\g<0>"),
    (r"steps/diar/assign_words\.sh transcripts exp/calls/.*", r"\g<0>"),
    (r"(PIP_\S+ )?(utils/setup_env\.sh.*)", r"\2"),
    (r"ln -s /path/to/this/repository/(.*)", r"ln -s \1"),
    (r"diar/\w+\.sh .*(data|exp)/eval.*", r"\g<0>"),
    (
        r"(local/simulate_calls\.py) --num-calls \d+ --duration \d+ --seed \d+ --same-person \S+ (.*)",
        r"\1 --num-calls 1 --duration 10 \2",
    ),
    (r"\./run\.sh --audio data/stereo/wav .*", r"\g<0> --stop-stage 1"),
    (r"(local/simulate_calls\.py) --num-calls \d+ (.* voices .*)", r"\1 --num-calls 1 --duration 10 \2"),
    (r"(local/simulate_calls\.py) .* readers data/readers40", r"\1 --num-calls 1 --duration 10 voices data/readers40"),
    # These take long, so it is only seen that they start; other tests run them.
    (r"(bench/\w+\.py)( simulate| count| sure)?( .*)?", r"\1\2 --help"),
    (r"(local/fetch_\w+\.py|local/paper/run\.sh) .*", r"\1 --help"),
]
# Commands that take long or need data that may not be distributed; other tests run these programs.
DEAR = [
    r"\./run\.sh( (?!--audio ).*)?",
    r"tests/run\.sh( .*)?",
    r"steps/diar/(make_rttm|score_der)\.sh .*data/mini .*exp/mini/best",
    r"\./run_paper\.sh .*",
    r"(\S+ -m )?(pip|unzip) .*",
    r"(export |make -C |DSCORE_ROOT=).*",
    r"rm -r voices/allison_es",
    r"git clone .*",
    r"pip install .*",
]


class Command(NamedTuple):
    """A command of a document: its place, the folder to type it in (relative to the repository), its text."""

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
    """Return the cheap form of a command; None if it is not run."""
    for pattern, replacement in RUN:
        if match := re.fullmatch(pattern, command.text):
            return match.expand(replacement)
    return None


@cache
def options_of(folder, program, *step):
    """Return the options in the --help of a script, or of one of its steps."""
    done = subprocess.run(
        [*([sys.executable] if program.endswith(".py") else []), program, *step, "--help"],
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
    """Return the options in the --help of the command ssdiar."""
    command = [sys.executable, "-m", "ssdiar", "--help"]
    environment = os.environ | {"PYTHONPATH": str(REPO / "steps" / "libs")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    return set(re.findall(r"--[a-z][a-z0-9-]*", done.stdout))


def check_options(place, folder, words):
    """Fail unless the program of the command line `words` exists and has its options."""
    program = words[0]
    assert os.access(REPO / folder / program, os.X_OK), f"{place}: {program} is not there, or cannot be run"
    if program == "tests/run.sh":  # whose options are pytest's
        return
    given = {word for word in words[1:] if re.fullmatch(r"--[a-z][a-z0-9-]*", word)}
    if given - {"--help"}:
        step = words[1:2] if program.endswith(".py") and re.fullmatch("[a-z]+", words[1]) else []  # as in fit.py count
        unknown = given - {"--help"} - options_of(folder, program, *step)
        assert not unknown, f"{place}: {program} --help does not list {' '.join(sorted(unknown))}"


def test_every_command_is_accounted_for():
    assert {command.place.split(":")[0] for command in COMMANDS} >= {"README.md", "egs/callhome/README.md"}
    lost = [
        f"{command.place}: {command.text}"
        for command in COMMANDS
        if instead(command) is None and not any(re.fullmatch(pattern, command.text) for pattern in DEAR)
    ]
    assert not lost, (
        "no test runs these commands. Add a pattern with a cheap form to RUN of tests/e2e/test_docs.py (the fixture "
        "`world` makes the files), or a pattern to DEAR if another test runs the program:\n" + "\n".join(lost)
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
    names = ("run.sh", "steps/diar/*.sh", "local/*.sh", "local/paper/*.sh", "local/simulate_calls.py", "bench/*.py")
    scripts = [script for name in (*names, "egs/*/local/*.sh", "utils/setup_env.sh") for script in REPO.glob(name)]
    scripts = [script for script in scripts if os.access(script, os.X_OK)]
    beside = [path.parent, REPO, REPO / "steps/diar", REPO / "local", REPO / "steps/libs", REPO / "steps/libs/ssdiar"]
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
            known = options_of_ssdiar().union(removed_options(), *(options_of(".", str(s)) for s in scripts))
            unknown = {word for word in words if re.fullmatch(r"--[a-z][a-z0-9-]*", word)} - known
            assert not unknown, f"{path.name}: `{span}`: no script's --help lists {' '.join(sorted(unknown))}"
        elif re.fullmatch(r"(conf|steps|local|utils|tests|bench|egs|docs)/[\w./-]*", span):
            assert (REPO / span).exists() or (path.parent / span).exists(), f"{path.name}: `{span}` is not there"


def removed_options():
    """Return the options whose replacement run.sh names."""
    moved = re.search(r'^moved_options="(.*?)(?<!\\)"$', (REPO / "run.sh").read_text(), re.MULTILINE | re.DOTALL)[1]
    names = " ".join(re.findall(r"^([\w ]+):", moved, re.MULTILINE)).split()
    return {f"--{name.replace('_', '-')}" for name in names}


def section(path, heading):
    """Return the text of a document below a heading."""
    return re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", path.read_text(), re.MULTILINE | re.DOTALL)[1]


def test_the_table_of_removed_options_is_that_of_run_sh():
    table = section(REPO / "docs/reference.md", "Removed options of run.sh")
    rows = re.findall(r"^\| (`--.*?) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(--[a-z-]+)`", row)} == removed_options()


@pytest.mark.parametrize("path", [*DOCUMENTS, REPO / "CHANGELOG.md"], ids=lambda path: str(path.relative_to(REPO)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        other = path.parent / file if file else path
        assert other.exists(), f"{path.name}: {target}: no such file"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{path.name}: {target}: no such heading"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPO)))
def test_choices_are_read(path):
    """Check every choice of a system, detector or model that commands and `code` give."""
    readers = {"--systems": read_system, "--system": read_system, "--sad": read_sad, "--xvector": read_model_config}
    text = re.sub(r"\\\n\s*", "", path.read_text())
    for option, quoted, word in re.findall(r"(--systems?|--sad|--xvector) (?:\"([^\"]+)\"|([\w.+=/\[\]-]+))", text):
        for choice in (quoted or word).split():
            name = choice.partition("+")[0]
            if name != "oracle" and not name.endswith(".yaml") and not name.isupper():  # FILE stands for a file
                readers[option](choice)


def test_the_newest_version_of_the_changelog_is_the_package_s():
    """CITATION.cff names none, so that the version is in one place and its history in another."""
    versions = re.findall(r"^## \[(.*)\] - \d{4}-\d\d-\d\d$", (REPO / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == ssdiar.__version__


def voice(pitch, seconds, rate=8000):
    """Return pulses of varying pitch (Hz) through changing formants, with pauses: pyannote takes it for speech."""
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
def world(tmp_path_factory):
    """Return a clone after stage 0 with the inputs of the documents' commands, and the environment of a new shell.

    The Python on the PATH has no packages; those of this Python are in .venv.
    """
    root = tmp_path_factory.mktemp("docs") / "a clone"
    copy_repository(root)
    venv.create(root / "home" / "bare", symlinks=True)
    if sys.prefix == sys.base_prefix:
        venv.create(root / ".venv", symlinks=True, system_site_packages=True)
    else:
        (root / ".venv").symlink_to(sys.prefix)
    calls = root / "home" / "calls"
    calls.mkdir()
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
    shutil.copy(root / "ref.rttm", root / "data" / "eval")
    shutil.copytree(root / "data" / "eval", root / "data of run.sh" / "eval")
    (root / "bin").mkdir()
    (root / "bin" / "queue.pl").symlink_to(root / "utils" / "run.pl")
    others = [place for place in os.environ["PATH"].split(":") if Path(place) != Path(sys.executable).parent]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    path = ":".join([str(root / "bin"), str(root / "home/bare/bin"), *others])
    return root, environment | {"HOME": str(root / "home"), "PATH": path}


def _make_xvectors(folder):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    pieces = [Segment(f"call-{75 * i:07d}-{75 * (i + 1):07d}", "call", 0.75 * i, 0.75 * (i + 1)) for i in range(12)]
    vectors = rng.standard_normal((2, 8))[np.arange(12) // 3 % 2] + 0.1 * rng.standard_normal((12, 8))
    places = write_xvectors(folder / "xvector.ark", {p.id: v for p, v in zip(pieces, vectors, strict=True)})
    write_xvector_scp(folder / "xvector.scp", {key: (folder / "xvector.ark", place) for key, place in places.items()})
    write_segments(folder, pieces)


def run_commands(root, environment, wanted):
    """Run the cheap forms of all commands for which `wanted` is true, once each, in the order of the documents."""
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
    assert (root / "exp/calls/best/rttm").read_text(), "the default detector finds no speech"
    assert (root / "exp/calls/best/export/call.vtt").is_file()


def test_stages_typed_by_hand_give_the_result_of_run_sh(world):
    """As docs/kaldi.md has them; its commands ran in the test above, or run here."""
    root, environment = world
    if not (root / "exp/eval/best/rttm").exists():
        run_commands(root, environment, lambda text: re.match(r"diar/|ln -s steps/diar", text))
    places = ["--data-root", "data of run.sh", "--exp-root", "exp of run.sh"]
    command = ["./run.sh", "--set", "eval", "--systems", "best", *places]
    subprocess.run(command, cwd=root, env=environment, capture_output=True, timeout=300, check=True)
    assert (root / "exp/eval/best/rttm").read_text()
    for name in ("rttm", "labels", "sure", "result.json", "score/full.json"):
        ours, theirs = ((root / exp / "eval/best" / name).read_text() for exp in ("exp", "exp of run.sh"))
        assert ours == theirs.replace("data of run.sh", "data"), name


def test_commands_for_slurm_run_on_slurm(world, slurm):
    root, environment = world
    run_commands(root, environment | {"SLURM_CONF": slurm.environment["SLURM_CONF"]}, lambda text: "slurm.pl" in text)
