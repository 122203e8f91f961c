"""What the Backbone does, one module per area of its API. Each gives its routes; rules of others are called by name."""
