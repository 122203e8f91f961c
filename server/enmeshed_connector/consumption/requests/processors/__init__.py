"""What each type of request item means: one file per type. Source: consumption.md, section 12."""
