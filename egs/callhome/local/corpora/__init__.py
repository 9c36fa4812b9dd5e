"""The corpora that are called CALLHOME, from their publishers' files to data directories.

``ldc``, ``cabank`` and ``sre2000`` each read the formats of one corpus, ``corpus`` has their common types, ``data_dir``
checks a corpus against its audio and writes the data directory.
"""
