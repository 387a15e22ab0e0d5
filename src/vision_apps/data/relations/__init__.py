"""Pictures with boxes and how their objects are related, on disk: one file a format."""
