"""A stage with jobs that is written from the docstring of ssdiar.work alone: it counts the words of each file."""

import subprocess
import sys
from pathlib import Path

import pytest
from running import PATIENCE

DIAR = Path(__file__).resolve().parents[2] / "steps" / "diar"

SHELL = r"""#!/usr/bin/env bash
# Begin configuration section.
times=1
nj=2
cmd=run.pl
overwrite=false
python=${PYTHON:-python3}
verbose=1
# End configuration section.
help_message="Usage: $0 [options] <text-dir> <out-dir>"
. "DIAR/begin.sh" || exit 1

options=(--times="$times" --nj="$nj" --overwrite="$overwrite")
plan_jobs "$@"
run_jobs
gather_jobs
"""

PYTHON = r'''
"""Count."""
import sys
from pathlib import Path

sys.path.insert(0, "DIAR")

import stage
from ssdiar.io.publish import publish_text
from ssdiar.work import Manifest, check, digest, file_digest


def main():
    parser = stage.Parser(__doc__)
    parser.add_jobs("text_dir").add_argument("--times", type=stage.whole_number(1))
    options = parser.parse_args()
    work = Manifest(options.out_dir, "count_words")
    {"plan": plan_it, "run": run_it, "gather": gather_it}[options.action](options, work)


def plan_it(options, work):
    texts = {path.stem: path for path in options.text_dir.glob("*.txt")}
    inputs = check(*texts.values())
    digests = {reco: digest(options.times, file_digest(path)) for reco, path in texts.items()}
    settings = {"text_dir": str(options.text_dir.absolute()), "times": options.times}
    print(work.plan(inputs, settings, digests, most_jobs=options.nj, overwrite=options.overwrite))


def run_it(options, work):
    settings = work.settings
    for reco in work.job(options.job):
        count = settings["times"] * len((Path(settings["text_dir"]) / f"{reco}.txt").read_text().split())
        print("counted", reco)
        with work.done(reco) as folder:
            (folder / f"{reco}.count").write_text(f"{reco} {count}\n")


def gather_it(options, work):
    with work.finish("counts") as recordings:
        lines = [(options.out_dir / f"{reco}.count").read_text() for reco in recordings]
        publish_text(options.out_dir / "counts", "".join(lines))


stage.run(main)
'''


@pytest.fixture
def run(tmp_path):
    """Return a function that runs the stage on three texts, and returns what it did; its folder has a blank."""
    root = tmp_path / "of one's own"
    (root / "texts").mkdir(parents=True)
    for name, text in (("a", "one"), ("b", "one two"), ("c", "one two three")):
        (root / f"texts/{name}.txt").write_text(text)
    for suffix, text in ((".sh", SHELL), (".py", PYTHON)):
        path = root / f"count_words{suffix}"
        path.write_text(text.replace("DIAR", str(DIAR)))
        path.chmod(0o755)

    def run(*args, rc=0):
        command = [str(root / "count_words.sh"), "--python", sys.executable, *args]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == rc, done.stderr
        logs = "".join(path.read_text() for path in sorted((root / "out/log").glob("*.log")))
        return done, logs.count("counted")

    run.root = root
    return run


def test_it_does_what_the_stages_do(run):
    assert run("texts", "out")[1] == 3
    assert (run.root / "out/counts").read_text() == "a 1\nb 2\nc 3\n"
    assert "nothing to do" in run("texts", "out")[0].stdout
    (run.root / "texts/b.txt").write_text("one two three four")
    (run.root / "out/c.count").write_text("c 99\n")
    assert run("--nj", "1", "texts", "out")[1] >= 2
    assert (run.root / "out/counts").read_text() == "a 1\nb 4\nc 3\n"
    assert "is input and output at once" in run("texts", "./texts", rc=1)[0].stderr
    assert "expected <text-dir> <out-dir>, got 1 arguments" in run("texts", rc=1)[0].stderr
