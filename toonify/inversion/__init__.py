"""Photographs into latents: whole frames (StyleGANEX) or aligned faces, and refining them."""

FACE_GENERATOR = "ffhq-mobile"  # for bundles without a generator of faces
