"""toonify: a photo goes in, a chosen cartoon character comes out."""
