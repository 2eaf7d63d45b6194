"""Primitives that everything else stands on; they import nothing of toonify but its errors."""
