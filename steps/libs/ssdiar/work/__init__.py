"""The manifest of an output directory: what is done, and from which inputs.

Ten terms say it all:

- A **digest** is what tells whether two files, or two values, are the same: a checksum of their content. Name, size and
  time decide nothing. (A file is not read again as long as its inode, size, modification time and change time are what
  they were when it was.)
- A **manifest** is what a stage notes in its output directory, ``.manifest/<stage>.json``: its inputs, settings and
  outputs, and whether it has finished.
- **Inputs** are all files that the stage reads, each with its digest.
- **Settings** are what its processes tell each other: everything that is not in a file.
- **Outputs** are all files that it makes, each with its digest (or without, where people may edit them).
- A **receipt** tells that one recording is done: ``.manifest/<stage>/<recording>.json`` names the digest of what
  decided the result, and the files, with their digests. It is written last and by rename, so a job killed at any moment
  leaves nothing that looks done; a rerun does what has no valid receipt, and nothing else.
- **check** takes all inputs before they are read: either they are whole, finished and current, back to the first file
  that a manifest names, or an error says which stage to run again.
- **plan** notes inputs and settings and says what is to be done: which recordings, in how many jobs.
- **done** is one recording's work: what is written in its block appears at once, with the receipt.
- **finish** is the end: all recordings are done, what the stage makes of them together is written, and the outputs are
  noted.

A stage goes through three processes, which share the output directory and may run on different machines::

    work = Manifest(out_dir, "my_stage")                    # the script's name, without .sh

    inputs = check(*tables, config, *audio_files)           # plan
    ... read the inputs, check the options ...
    digests = {reco: digest(options, [...]) for reco in recordings}    # all that decides the result of a recording
    print(work.plan(inputs, {"data_dir": ...}, digests, costs, nj, overwrite))

    settings = work.settings                                # run: one job; refused where an input has changed
    for reco in work.job(number):
        result = ...
        with work.done(reco) as folder:
            (folder / f"{reco}.txt").write_text(result)

    settings = work.settings                                # gather
    with work.finish("all.txt") as recordings:
        publish_text(out_dir / "all.txt", "".join(...))

The script my_stage.sh beside my_stage.py sets its options and usage, as steps/diar/begin.sh says, and then reads::

    . "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/begin.sh" || exit 1
    options=(--size="$size" --nj="$nj" --overwrite="$overwrite")
    plan_jobs "$@"      # my_stage.py plan <options> -- <input-dir>... <out-dir>; it prints the number of jobs
    run_jobs            # my_stage.py run --job=N -- <out-dir>, in parallel by --cmd
    gather_jobs         # my_stage.py gather -- <out-dir>

In my_stage.py, ``stage.Parser(__doc__).add_jobs("data_dir")`` takes these three command lines (steps/diar/stage.py).

A stage without jobs gives no digests: its ``plan`` returns 0 if the directory holds what these inputs and settings
make, else 1, and ``finish`` follows in the same process. Several stages may work in one directory (labels, RTTM and
scores of a system), each with a manifest of its own. A job need not do whole recordings: any name that a file may
have will do instead of a recording's, such as that of a part, of which ``finish`` makes the whole.

Two runs of one directory do not mix. The stage's script holds a lock on it (jobs.sh), ``plan`` waits for it, and it
lasts until the script and all jobs that it started on this machine have ended. A job that outlives its run elsewhere
(Slurm) does no harm: what it was planned to do counts only if the present plan still wants exactly that.
"""

from ssdiar.work.digests import Mark, digest, file_digest
from ssdiar.work.manifest import Manifest, Progress, check, cores

__all__ = ["Manifest", "Mark", "Progress", "check", "cores", "digest", "file_digest"]
