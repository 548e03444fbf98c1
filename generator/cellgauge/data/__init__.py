"""Obtaining a dataset, and checking it before anything is computed."""
