"""How requests come in and answers go out: routing, binding, envelopes, paging, authentication, limits."""
