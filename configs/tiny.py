"""A whole HyperStyle run in seconds: random tiny networks on 16×16 procedural faces.

    python train.py --config configs/tiny.py

It tests the machinery on any CPU. Its networks learn nothing worth looking at.
"""

from hyperstyle_jax.config.fields import base


def get_config():
    c = base("hyperstyle")
    c.num_steps, c.log_every, c.save_every = 4, 1, 2
    c.eval_every, c.image_every = 4, 4
    c.batch_size, c.num_iters = 4, 2
    c.data.size, c.data.train, c.data.eval = 16, (0, 64), (1_000_000, 1_000_006)
    c.data.cache_dir = ""  # drawn when they are needed

    generator = c.model.generator
    generator.resolution, generator.z_dim, generator.w_dim = 16, 16, 16
    generator.channel_base, generator.channel_max = 128, 16
    generator.num_mapping_layers = 2
    c.model.encoder.widths, c.model.encoder.depths = (8, 16), (1, 1)
    c.model.feature_extractor.widths, c.model.feature_extractor.depths = (8, 16), (1, 1)
    c.model.feature_extractor.embedding_dim = 16
    hypernet = c.model.hypernet
    hypernet.widths, hypernet.depths = (8, 16), (1, 1)
    hypernet.embedding_dim, hypernet.hidden, hypernet.inner, hypernet.inner_shared = (
        16,
        16,
        8,
        8,
    )
    return c
