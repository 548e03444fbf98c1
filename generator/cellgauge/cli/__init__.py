"""The command line.

Exit codes are a contract: 0 = done, 1 = problems found (listed), 2 = wrong usage. What a command needs
is imported inside it, so that ``--help`` answers at once.
"""

from cellgauge.cli.commands import main

__all__ = ["main"]
