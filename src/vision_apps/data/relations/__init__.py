"""Relations between objects in pictures."""
