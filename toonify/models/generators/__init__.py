"""Generators of faces, one family a file."""
