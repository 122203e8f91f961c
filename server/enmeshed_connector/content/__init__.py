"""Content types, their validation, and the codec between JSON and `enmeshed.content.v1`."""
