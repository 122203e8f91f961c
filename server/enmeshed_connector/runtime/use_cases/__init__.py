"""What callers can do with an account, a file per concern.

A use case decides: it checks what the rooms below do not know of (which content may go where, what a token inherits),
calls them, and returns views (`runtime/views.py`). Each mutation takes an `Intent`: who asked, and under which key.
"""
