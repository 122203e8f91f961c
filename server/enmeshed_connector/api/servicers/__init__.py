"""The services of the contract, one per file: convert the request, call one use case, convert the result."""
