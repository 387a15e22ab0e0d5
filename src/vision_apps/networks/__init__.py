"""Pure torch that two or more applications share."""
