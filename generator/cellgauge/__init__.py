"""cellgauge evaluates single-cell foundation models offline and publishes the results as a static site.

The rooms, each importing only rooms below it::

    cli                 commands: parse, call, print
    exchange            other people's formats
    report | runner     two wings that never import each other: pages are drawn from files that runs wrote
    tasks               one module a task: what is computed and scored
    models              obtaining an embedding
    data                obtaining a dataset
    stats               resampling and paired comparison: arrays in, arrays out
    results             the result file: schema, store
    cards               the four schemas, reading, cross-checks
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("cellgauge")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
