"""Image-to-image training on pairs (pix2pix, arXiv 1611.07004): a network that draws a style."""
