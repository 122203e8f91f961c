"""Requests between identities: asked, decided, answered, and what follows from the answers."""
