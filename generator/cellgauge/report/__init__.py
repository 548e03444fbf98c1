"""The report wing: from cards and result files to pages. It never runs anything."""

from collections.abc import Callable

Say = Callable[[str], None]
"""Takes a line for each step of what lasts."""
