"""Methods that invert images, and the results of inversions on disk."""
