"""Releases as folders of one site: each is published once, and a small root leads to all."""
