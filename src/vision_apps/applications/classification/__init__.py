"""Classification: which of K classes is in the picture."""
