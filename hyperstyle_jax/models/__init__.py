"""Networks: StyleGAN2, encoders, the hypernetwork, feature extractors."""
