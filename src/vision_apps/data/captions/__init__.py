"""Pictures with captions, as they lie on disk, and how captions become words and numbers."""
