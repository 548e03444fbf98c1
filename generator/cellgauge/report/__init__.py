"""The report wing: from cards and result files to pages. It never runs anything."""
