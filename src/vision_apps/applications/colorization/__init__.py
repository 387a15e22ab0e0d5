"""Colorization: a colour image from a grey one (Zhang, Isola, Efros, "Colorful Image Colorization", ECCV
2016)."""
