"""What every call passes, in this order: errors, correlation id and log, readiness, authentication, permission, limits,
rules.
"""
