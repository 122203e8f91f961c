"""Ids, addresses, dates, references, canonical JSON and errors: values without I/O."""
