"""A trained network on a local page, and for other programs over HTTP."""
