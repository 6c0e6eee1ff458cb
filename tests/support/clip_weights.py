"""OpenAI's state dict of a small CLIP, each tensor a function of its name.

It needs NumPy alone, so scripts/clip_oracle.py can read it without the project.
"""

import numpy as np

SIZES = {"embed": 24, "image": 32, "patch": 8, "vision": 128, "text": 64, "context": 32}
LAYERS = 2


def shapes(vocabulary: int) -> dict[str, tuple]:
    """Names and shapes of OpenAI's state dict."""
    s = SIZES
    positions = (s["image"] // s["patch"]) ** 2 + 1
    result = {
        "logit_scale": (),
        "visual.class_embedding": (s["vision"],),
        "visual.positional_embedding": (positions, s["vision"]),
        "visual.proj": (s["vision"], s["embed"]),
        "visual.conv1.weight": (s["vision"], 3, s["patch"], s["patch"]),
        "token_embedding.weight": (vocabulary, s["text"]),
        "positional_embedding": (s["context"], s["text"]),
        "text_projection": (s["text"], s["embed"]),
    }
    norms = [("visual.ln_pre", "vision"), ("visual.ln_post", "vision")]
    norms.append(("ln_final", "text"))
    for prefix, kind in (("visual.", "vision"), ("", "text")):
        for i in range(LAYERS):
            name, width = f"{prefix}transformer.resblocks.{i}", s[kind]
            norms += [(f"{name}.ln_1", kind), (f"{name}.ln_2", kind)]
            for part, rows, columns in (
                ("attn.in_proj_", 3 * width, width),
                ("attn.out_proj.", width, width),
                ("mlp.c_fc.", 4 * width, width),
                ("mlp.c_proj.", width, 4 * width),
            ):
                result[f"{name}.{part}weight"] = (rows, columns)
                result[f"{name}.{part}bias"] = (rows,)
    for name, kind in norms:
        result |= {f"{name}.weight": (s[kind],), f"{name}.bias": (s[kind],)}
    return result


def state_dict(normal, vocabulary: int) -> dict[str, np.ndarray]:
    """OpenAI's tensors, each a function of its name; `normal` is procedural.normal."""
    tensors = {}
    for name, shape in shapes(vocabulary).items():
        gain = ".ln_" in name or name.startswith("ln_")
        offset = 1.0 if gain and name.endswith("weight") else 0.0
        matrix = len(shape) > 1 and "embedding" not in name
        fan_in = shape[0] if name.endswith("proj") else np.prod(shape[1:])
        scale = 1 / np.sqrt(fan_in) if matrix else 0.1
        tensors[name] = np.asarray(normal(0, f"clip.{name}", shape, offset, scale))
    return tensors
