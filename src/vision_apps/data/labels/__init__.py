"""Pictures with a class: one file per format or public set."""
