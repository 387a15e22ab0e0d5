"""Episodes: an instruction, where it is followed, and the way that is meant; one file a format or world."""
