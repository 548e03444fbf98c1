"""Makes ``python -m cellgauge`` the same as the ``cellgauge`` command."""

from cellgauge.cli import main

main(prog_name="cellgauge")
