"""Image captioning: a sentence about the picture, and where each of its words was looked for."""
