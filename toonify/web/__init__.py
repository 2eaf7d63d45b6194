"""A page in the browser and an HTTP API for one machine's engine (the extra `toonify-toolkit[web]`)."""
