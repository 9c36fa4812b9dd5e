"""The manifest of an output directory: its finished results and their inputs.

- A **digest** is a checksum of the content of a file or a value. Name, size and time decide nothing.
- A **manifest**, ``.manifest/<stage>.json`` in the output directory, holds a stage's inputs, settings and outputs, and
  whether it has finished. Several stages may work in one directory, each with its own manifest.
- A **receipt**, ``.manifest/<stage>/<recording>.json``, records that one recording, or a part of one, is done: the
  digest of everything that decided its result, and the digests of its files. It is written last and by rename, so that
  a killed job leaves nothing that looks done. A rerun does the recordings without a valid receipt.
- **check** returns the digests of inputs if they are whole, finished and current, back to the first file that a
  manifest names; otherwise its error names the stage to run again.

A stage with jobs (steps/diar/jobs.py) goes through three processes::

    work = Manifest(out_dir, "my_stage")
    inputs = check(*tables, config, *audio_files)                       # plan
    digests = {reco: digest(options, [...]) for reco in recordings}     # everything that decides a recording's result
    jobs = work.plan(inputs, {"data_dir": ...}, digests, costs, nj)

    settings = work.settings                                            # run: one job; an error if an input has changed
    for reco in work.job(number):
        with work.done(reco) as folder:                                 # its files appear at once, then the receipt
            (folder / f"{reco}.txt").write_text(...)

    with work.finish("all.txt") as recordings:                          # gather
        publish_text(out_dir / "all.txt", "".join(...))

A stage without jobs gives no digests; it has nothing to do if ``work.is_current(inputs, settings)``. ``plan`` locks the
directory until ``finish``; a second run waits.
"""

from ssdiar.work.digests import cores, digest, file_digest
from ssdiar.work.manifest import Manifest, check

__all__ = ["Manifest", "check", "cores", "digest", "file_digest"]
