"""Training StyleGANEX (arXiv 2303.06146): encoders of whole frames, task by task."""
