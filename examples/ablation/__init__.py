"""Which part of cross-domain style mixing does what: see `__main__.py`."""
