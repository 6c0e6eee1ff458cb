"""Networks on disk: bundles of safetensors files with a manifest."""
