"""What `toonify benchmark --compare` can be given; see README.md."""
