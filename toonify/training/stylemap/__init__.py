"""Joint training of StyleMapGAN's networks on a folder of faces."""
