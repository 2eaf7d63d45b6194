"""Whether links in folders are followed out of them."""

FOLLOW_LINKS = "TOONIFY_FOLLOW_LINKS"  # what --follow-links sets, for worker processes too
