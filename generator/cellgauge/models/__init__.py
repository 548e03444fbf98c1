"""Obtaining what a model makes of a dataset."""
