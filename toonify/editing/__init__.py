"""Changing what latents show: directions, style mixing, pictures of the result."""
