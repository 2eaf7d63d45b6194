"""Photographs into latents: whole frames (StyleGANEX) or aligned faces, and refining them."""
