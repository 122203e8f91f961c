"""Conversion between views (JSON of `runtime/views.py`) and the messages of the contract, a file per kind of thing."""
