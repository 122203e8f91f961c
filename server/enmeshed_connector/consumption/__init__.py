"""Attributes, requests, notifications, settings: what content means."""
