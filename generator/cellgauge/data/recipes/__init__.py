"""Recipes: functions that make an AnnData of original public files, or simulate one.

A recipe is called with ``files`` (name in the card → path) and the card's ``params``. The paths carry no
suffix, because the files come from a store that names them by digest. The same bytes give the same cells
in the same order, whatever the versions of Python, numpy and pandas.
"""
