"""The composition root: settings, logs, and the one place that builds everything and hands it down."""
