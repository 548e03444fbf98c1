"""The command that makes fingerprints of cells."""

from __future__ import annotations

from pathlib import Path

import click

from cellgauge.cli.terminal import fail, json_option, print_json
from cellgauge.report.numbers import percent, size_in_words


@click.command()
@click.argument("path", metavar="DATA.h5ad", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="[default: DATA.fingerprints.npz, here].")
@click.option("--matrix", metavar="X|raw|layers/NAME", help="[default: layers/counts, raw or X: the first there is].")
@click.option("--genes", metavar="COLUMN", help="Column of var with the gene ids [default: the index].")
@json_option
def fingerprint(path: Path, out: Path | None, matrix: str | None, genes: str | None, as_json: bool) -> None:
    """Write fingerprints of the cells in DATA.h5ad, without expression values.

    Others can tell by them whether they have the same cells. What they disclose is said on the page
    "Fingerprints" of the site.
    """
    try:
        from cellgauge.data.fingerprint import fingerprint_h5ad
    except ModuleNotFoundError as error:
        fail(f"Reading datasets needs more than building a site (no {error.name}): pip install 'cellgauge[run]'")

    made = fingerprint_h5ad(path, location=matrix, gene_column=genes)
    out = out or Path(f"{path.stem}.fingerprints.npz")
    if not out.absolute().parent.is_dir():
        fail(f"{out}: there is no folder {out.absolute().parent}")
    made.save(out)
    if as_json:
        print_json({"out": str(out), **made.header.model_dump(mode="json")})
        return
    header = made.header
    click.echo(f"{out}: {header.n_cells:,} cells, {header.n_genes:,} genes, {size_in_words(out.stat().st_size)}")
    ways = ", ".join(f"{count:,} from {way}" for way, count in header.counts_from.items())
    click.echo(f"Exact hashes: {percent(round(made.share_hashed, 4))} of the cells{f' ({ways})' if ways else ''}.")
    if header.not_hashed:
        click.echo(f"No exact hash: {header.not_hashed}")
    click.echo("What the file discloses:")
    for part, words in header.discloses.items():
        click.echo(f"  {part}: {words}")
