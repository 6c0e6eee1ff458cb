"""Recognizes networks that are not converted, to say what they are."""

import re
from collections.abc import Iterable

_NETWORKS = (
    (r"(.*\.)?synthesis\.input\.(freqs|phases|transform|weight)", "a StyleGAN3"),
    (r"(.*\.)?backbone\.synthesis\.b4\..*", "an EG3D"),
    (r"(.*\.)?mapping\.embed_proj\..*", "a StyleGAN-XL"),
    (r"(generator\.)?progression\.\d+\..*", "a StyleGAN (the first version)"),
    (r"(.*\.)?(down_blocks\.0\.|model\.diffusion_model\.|time_embed\.0\.).*",
     "a diffusion"),
    (r"(.*\.)?(course_mapping|medium_mapping|fine_mapping)\..*", "a StyleCLIP mapper"),
    (r"(.*\.)?stylegan_decoder\..*", "a GFPGAN"),
    (r"(.*\.)?blocks\.\d+\.attn\.qkv\.weight", "a vision transformer"),
)  # fmt: skip


def describe(names: Iterable[str]) -> str | None:
    """What network has tensors of such names; None if it may be one of ours."""
    for name in names:
        for pattern, network in _NETWORKS:
            if re.fullmatch(pattern, name):
                return (
                    f"it holds {network} network (its tensor {name!r:.60}), which is "
                    "not converted: only StyleGAN2 generators and the networks of "
                    "docs/weights.md are"
                )
    return None
