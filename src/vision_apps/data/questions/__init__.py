"""Questions about pictures, with their answers: one file for each format."""
