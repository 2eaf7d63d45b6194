"""Training FusionNet: the person of one sampled latent before the background of another."""
