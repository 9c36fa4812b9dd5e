"""x-vectors: one embedding per sub-segment, by pretrained models that conf/xvector/*.yaml describe.

``models`` reads a description and loads the model it names; ``campplus`` and ``speechbrain`` hold one loader each.
"""
