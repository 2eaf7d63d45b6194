"""Networks only, no file access; `registry` rebuilds them from a config."""
