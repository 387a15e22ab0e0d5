"""Pictures with a class for every pixel: one file per format or public set."""
