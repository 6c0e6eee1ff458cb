"""The commands of `hyperstyle`; each module adds one or a few of them."""
