"""The paper's tables and figures from our runs: which runs they need (``runs``), their figures, their files.

``summary`` and ``tables`` make Tables II and III, ``figures`` Figures 2 to 5; ``run_paper`` and ``run_figures`` are the
commands.
"""
