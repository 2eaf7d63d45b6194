"""Training FusionNet: the person of one sampled code before the background of another."""
