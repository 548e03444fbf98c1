"""Planning and executing evaluations: cards in, result files out."""
