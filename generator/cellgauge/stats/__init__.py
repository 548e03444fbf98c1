"""Arithmetic of uncertainty: arrays in, arrays out."""
