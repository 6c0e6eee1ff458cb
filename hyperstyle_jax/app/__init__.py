"""A page in the browser on which photos are inverted and edited."""
