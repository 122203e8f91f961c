"""Notifications: what one side tells the other about attributes, without asking for an answer."""
