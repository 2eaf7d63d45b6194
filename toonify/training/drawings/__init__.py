"""Training of the encoder of sketches and masks, on sampled faces."""
