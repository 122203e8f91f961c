"""An embedded development Backbone for the enmeshed network. Never for production."""
