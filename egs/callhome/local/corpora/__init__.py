"""The corpora that are called CALLHOME: from what their publishers ship to recordings with a reference.

One module per corpus reads its formats (``ldc``, ``cabank``, ``sre2000``), ``corpus`` holds what they have in common,
``data_dir`` checks it against the audio and writes the data directory.
"""
