"""The paper's tables and figures: ``grid`` calls run.sh and reads its results, ``tables`` and ``figures`` show them."""
