"""Manifests of a run of local/paper whose files a test has left by hand."""

import dataclasses

from paper.runs import Inputs, Run
from ssdiar.work import Manifest, check


def leave_manifests(folder, inputs: Inputs, run: Run, protocols) -> None:
    """Write what stages 5 to 7 would have noted."""
    config = dataclasses.asdict(run.config())
    outputs = {"cluster_ssl": ("labels", "meta.json"), "make_rttm": ("rttm",)}
    for stage, read in inputs.by_stage(run.count, protocols).items():
        work = Manifest(folder, stage)
        work.plan(check(*read), {"system": run.name, "config": config, "counts": run.count, "seed": run.seed})
        with work.finish(*outputs.get(stage, [f"score/{stage.removeprefix('score_der.')}.json"])):
            pass
