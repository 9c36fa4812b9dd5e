"""``python -m ssdiar`` is the command ``ssdiar``."""

from ssdiar.command import main

main()
