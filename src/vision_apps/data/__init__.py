"""All that becomes samples: what is on disk, one file per format or public set, what they share."""
