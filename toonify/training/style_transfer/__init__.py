"""Training networks of style transfer on a folder of pictures and one of styles."""
