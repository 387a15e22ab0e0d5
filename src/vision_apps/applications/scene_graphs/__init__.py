"""Scene graphs: which objects are in the picture, and how they are related to each other."""
