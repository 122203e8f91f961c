"""Attributes: what an identity says of itself, what peers said, and what is true of relationships.

Begin with `controller.AttributeController`. Source: consumption.md, sections 2 to 7.
"""
