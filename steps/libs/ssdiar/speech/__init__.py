"""Speech activity detection (SAD): the speech regions of a recording, its overlapped speech and its changes of speaker.

:mod:`source <ssdiar.speech.source>` finds all three in a recording; :mod:`sad <ssdiar.speech.sad>` describes the
detectors. A new detector is a module with a subclass of :class:`~ssdiar.speech.sad.Sad`, its name in
:func:`~ssdiar.speech.source.read_sad` and a file of conf/sad.
"""
