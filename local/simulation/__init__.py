"""Simulated telephone recordings: real voices, a model of turn taking, telephone lines, an exact reference.

``turns`` draws who speaks when, ``casting`` gives each party a voice, ``voices`` cuts real recordings into speech,
``channel`` simulates the telephone lines, ``corpus`` assembles recordings and writes data directories.
"""
