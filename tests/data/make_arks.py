#!/usr/bin/env python3
"""Make the golden archives xvectors.*.ark of this folder: `make_arks.py` (needs kaldiio, which writes them).

float, double: binary archives of `VECTORS`. compressed: the same as matrices of one row, since Kaldi compresses no
vectors. text: the same in the text form of Kaldi's `copy-vector ark:... ark,t:...`, which writes whole numbers
without a point and a blank before and after each bracket.
"""

from pathlib import Path

import kaldiio
import numpy as np

# Every number is exact in float32.
VECTORS = {
    "r1-0000000-0000075": [1.0, -0.5, 0.0, 1024.25],
    "r1-0000075-0000150": [0.0, 0.0, 0.0, 0.0],
    "r.2-0000000-0000075": [-3.0, 2.0**-20, 0.125, 2.0**100],
}


def main() -> None:
    """Write the four archives."""
    folder = Path(__file__).resolve().parent
    arrays = {key: np.array(values, np.float64) for key, values in VECTORS.items()}
    kaldiio.save_ark(str(folder / "xvectors.float.ark"), {k: v.astype(np.float32) for k, v in arrays.items()})
    kaldiio.save_ark(str(folder / "xvectors.double.ark"), arrays)
    matrices = {key: array.astype(np.float32)[None] for key, array in arrays.items()}
    kaldiio.save_ark(str(folder / "xvectors.compressed.ark"), matrices, compression_method=2)
    lines = [f"{key}  [ {' '.join(f'{value:g}' for value in values)} ]\n" for key, values in VECTORS.items()]
    (folder / "xvectors.text.ark").write_text("".join(lines))


if __name__ == "__main__":
    main()
