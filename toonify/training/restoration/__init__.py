"""Training what enlarges small faces: lowered pictures of faces, and the faces."""
