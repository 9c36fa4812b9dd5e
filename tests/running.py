"""How tests run a script as users do: where the scripts are, and what every run has in common."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
DIAR = REPO / "steps" / "diar"
#: Seconds after which a script is taken to hang; a busy machine needs many times what an idle one does.
PATIENCE = 300
#: Arguments that a shell might take for something else.
AWKWARD = [
    "a b",
    "é ü",
    "it's",
    'say "hi" it\'s',
    '"',
    "",
    "tab\there",
    "line\nbreak",
    "c d\\",
    "e\\",
    "O'Brien's",
    "%j",
]


def run_script(script, *args, cwd, rc=0, **environment):
    """Run a shell script of the recipe with this Python; it must end with ``rc`` and without a traceback.

    Args:
        script: Its path.
        args: Its options and arguments, after ``--python``.
        cwd: The folder to run it in.
        rc: The expected exit code.
        environment: Variables put over those of the tests; None takes one away.
    """
    variables = {key: value for key, value in {**os.environ, **environment}.items() if value is not None}
    command = [str(script), "--python", sys.executable, *map(str, args)]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, env=variables, check=False
    )
    assert done.returncode == rc, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def copy_repository(place):
    """Copy the repository to a folder that does not exist, without what was made in it, as a clone is."""
    made = shutil.ignore_patterns(".git", ".venv", "data", "exp", "__pycache__", ".*_cache")

    def ignored(folder, names):
        return made(folder, names) - ({"data"} if Path(folder).name == "tests" else set())

    shutil.copytree(REPO, place, symlinks=True, ignore=ignored)
