"""Networks that draw in the manner of any picture."""
