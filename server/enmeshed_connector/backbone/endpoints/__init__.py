"""The endpoints of the Backbone's consumer interface, one file per area.

Each group is a small class over the `Caller` port; its values are frozen and hold what the wire holds, with bytes
and moments in their own types. Statuses, types and reasons stay texts here, so that a newer Backbone's words reach
the room that judges them. Every method raises `BackboneError`s as the table in `backbone.errors` says; docstrings
name only the codes that belong to the method.
"""
