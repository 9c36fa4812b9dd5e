"""utils/parse_options.sh, through a script that sources it under `set -euo pipefail`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[2] / "utils"
SCRIPT = f"""#!/usr/bin/env bash
set -euo pipefail
nj=4
overwrite=false
tag=
stop_stage=9
cmd=run.pl
help_message="Usage: script 100% \\\\n [options]"
. "{UTILS}/parse_options.sh"
printf '%s|' "$nj" "$overwrite" "$tag" "$stop_stage" "$cmd" "$PATH" "$#" "$@"
"""


@pytest.fixture
def run(tmp_path: Path):
    script = tmp_path / "a script.sh"
    script.write_text(SCRIPT)
    script.chmod(0o755)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([script, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=300)

    return run


def values(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    nj, overwrite, tag, stop_stage, cmd, _, count, *rest = done.stdout.split("|")[:-1]
    assert len(rest) == int(count)
    return {"nj": nj, "overwrite": overwrite, "tag": tag, "stop_stage": stop_stage, "cmd": cmd, "rest": rest}


DEFAULTS = {"nj": "4", "overwrite": "false", "tag": "", "stop_stage": "9", "cmd": "run.pl", "rest": []}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["--nj", "2", "in dir", "é"], {"nj": "2", "rest": ["in dir", "é"]}),
        (["--stop-stage", "3"], {"stop_stage": "3"}),
        (["--stop_stage", "3"], {"stop_stage": "3"}),
        (["--tag", "", "x"], {"rest": ["x"]}),
        (["--tag", 'é "b" $(touch pwned) `x` \\ *'], {"tag": 'é "b" $(touch pwned) `x` \\ *'}),
        (["--cmd", "queue.pl --mem 2G"], {"cmd": "queue.pl --mem 2G"}),
        (["--tag", "--not-an-option", "--nj", "-1"], {"tag": "--not-an-option", "nj": "-1"}),
        (["--tag", "true", "--tag", "foo"], {"tag": "foo"}),
        (["--overwrite", "true"], {"overwrite": "true"}),
        (["", "x"], {"rest": ["", "x"]}),
        (["x", "--nj", "2"], {"rest": ["x", "--nj", "2"]}),
    ],
)
def test_options_set_variables_and_positionals_remain(run, tmp_path, arguments, expected):
    assert values(run(*arguments)) == DEFAULTS | expected
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nj"], "option --nj needs a value"),  # Kaldi's never ends
        (["--nj", "--tag", "x"], "option --nj needs a value, got the option --tag"),
        (["--", "nj", "3"], "bare '--'; expected --name value"),  # Kaldi's goes on with rc 0
        (["--thresold", "1"], "unknown option --thresold (see a script.sh --help)"),
        (["--thresold"], "unknown option --thresold (see a script.sh --help)"),
        (["--nj=3"], "options are given as --name value, got '--nj=3'"),
        (["-nj", "3"], "options are given as --name value, got '-nj'"),
        (["--overwrite", "yes"], "bad value of --overwrite; expected true or false, got 'yes'"),
        (["--overwrite", ""], "bad value of --overwrite; expected true or false, got ''"),
        (["--cmd", ""], "empty value of --cmd; expected run.pl or the like"),
        (["--PATH", "x"], "unknown option --PATH (see a script.sh --help)"),
        (["--IFS", "x"], "unknown option --IFS (see a script.sh --help)"),
        (["--_po_variable", "x"], "unknown option --_po_variable (see a script.sh --help)"),
        (["--é", "x"], "unknown option --é (see a script.sh --help)"),
        (["--config"], "option --config needs a value"),
        (["--config", "none.conf"], "none.conf: no such config file"),
        (["--config", "."], ".: no such config file"),
    ],
)
def test_bad_options_die_with_one_line(run, arguments, message):
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"a script.sh: error: {message}\n")


def test_former_options_name_what_took_their_place(tmp_path, repo):
    script = tmp_path / "a script.sh"
    script.write_text(
        "set -euo pipefail\nnj=1\nmoved_options='other: none\nold_gap: give --options \"gap=..\"'\n"
        f". '{repo}/utils/parse_options.sh'\n"
    )
    (tmp_path / "x.conf").write_text("nj=2\nold-gap=3\n")
    for arguments, message in (
        (["--old-gap", "1"], '--old-gap is not used any more; give --options "gap=.."'),
        (["--old_gap"], '--old_gap is not used any more; give --options "gap=.."'),
        (["--config", "x.conf"], 'x.conf:2: --old-gap is not used any more; give --options "gap=.."'),
        (["--new-gap", "1"], "unknown option --new-gap (see a script.sh --help)"),
    ):
        done = subprocess.run(["bash", script, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, f"a script.sh: error: {message}\n")


def test_help_is_printed_as_it_is_on_stdout(run):
    for arguments in (["--help"], ["-h"], ["--nj", "3", "--help", "--unknown"]):
        done = run(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "Usage: script 100% \\n [options]\n", "")


def test_command_line_wins_over_config_wherever_it_stands(run, tmp_path):
    config = tmp_path / "é a.conf"
    config.write_text('# comment\n\n--nj=7   # seven\n tag=\'a $b "é"\'\r\nstop-stage=1\ncmd="run.pl --x 1" # c')
    expected = DEFAULTS | {"tag": 'a $b "é"', "stop_stage": "1", "cmd": "run.pl --x 1"}
    assert values(run("--config", str(config), "in")) == expected | {"nj": "7", "rest": ["in"]}
    assert values(run("--nj", "2", "--config", str(config))) == expected | {"nj": "2"}
    assert values(run("--config", str(config), "--nj", "2")) == expected | {"nj": "2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nfoo=3\n", "2: unknown option --foo (see a script.sh --help)"),
        ("PATH=/x\n", "1: unknown option --PATH (see a script.sh --help)"),
        ("nj 3\n", "1: expected name=value, one word or quoted text without expansions, got 'nj 3'"),
        ("overwrite=1", "1: bad value of --overwrite; expected true or false, got '1'"),
        (
            "nj=$(touch pwned)\n",
            "1: expected name=value, one word or quoted text without expansions, got 'nj=$(touch pwned)'",
        ),
        ("tag=a b\n", "1: expected name=value, one word or quoted text without expansions, got 'tag=a b'"),
    ],
)
def test_config_can_set_options_and_nothing_else(run, tmp_path, text, message):
    (tmp_path / "c.conf").write_text(text)
    done = run("--config", "c.conf")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"a script.sh: error: c.conf:{message}\n")
    assert not (tmp_path / "pwned").exists()


def test_a_marked_section_says_which_variables_are_options(tmp_path):
    script = tmp_path / "marked.sh"
    script.write_text(
        f"""#!/usr/bin/env bash
# Begin configuration section.
nj=4
# End configuration section.
here=/home
. "{UTILS}/parse_options.sh"
echo "$nj $here"
"""
    )
    known = subprocess.run(["bash", script, "--nj", "2"], capture_output=True, text=True, timeout=300)
    assert known.stdout == "2 /home\n"
    other = subprocess.run(["bash", script, "--here", "x"], capture_output=True, text=True, timeout=300)
    assert (other.returncode, other.stdout) == (1, "")
    assert other.stderr == "marked.sh: error: unknown option --here (see marked.sh --help)\n"
