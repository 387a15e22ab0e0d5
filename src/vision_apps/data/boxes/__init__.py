"""Pictures with boxes: one file per format, their samples and what looks wrong in them."""
