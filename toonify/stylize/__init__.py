"""Photographs in, drawings out: files and folders, in batches, each failure for itself."""
