"""Decides incoming requests by rules of the settings. Source: consumption.md, section 16.2."""
