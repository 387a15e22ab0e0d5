"""Object detection: where is which object, any number of them."""
