"""A page in the browser and an HTTP API on one machine's engine: the extra `web`."""
