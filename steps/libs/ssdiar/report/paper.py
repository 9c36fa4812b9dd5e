"""x."""


def make_tables(name, results):
    return {"table.md": "\n".join(f"{r.run} {r.scores['forgiving'].total.der}" for r in results) + "\n"}
