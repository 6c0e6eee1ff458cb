"""Writes tests/models/clip_oracle.json: what another CLIP gives for the same weights.

Hugging Face's, in PyTorch; both get weights that a formula makes from their names. Run
it with `pip install torch transformers`, which this project needs nowhere else:

    python scripts/clip_oracle.py
"""

import importlib.util
import json
from collections import Counter
from pathlib import Path

import numpy as np
import transformers

ROOT = Path(__file__).parents[1]
TEXTS = (
    "a smiling face",
    "It's the FACE of  a café's owner, aged 42!",
    "smiles & faces_2 -- naïve 日 :)",
)
CORPUS = """a face with a smile. a smiling face, a photo of an old face; the face of
the owner of the house is not a photo but a painting of one smiling person's features"""


def load(path: str):
    """A file of the project that needs NumPy alone, without its package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


weights = load("tests/support/clip_weights.py")
procedural = load("hyperstyle_jax/parity/procedural.py")
SIZES, LAYERS = weights.SIZES, weights.LAYERS


def theirs(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors by Hugging Face's names."""
    fixed = {
        "logit_scale": "logit_scale",
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.positional_embedding": (
            "vision_model.embeddings.position_embedding.weight"
        ),
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
    }
    parts = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1"}
    parts |= {"mlp.c_proj": "mlp.fc2", "attn.out_proj": "self_attn.out_proj"}
    result = {}
    for name, value in tensors.items():
        root = "vision_model" if name.startswith("visual.") else "text_model"
        rest = name.removeprefix("visual.")
        if name in fixed:
            result[fixed[name]] = value
        elif name in ("visual.proj", "text_projection"):
            kind = "visual" if "visual" in name else "text"
            result[f"{kind}_projection.weight"] = value.T
        elif rest.startswith("ln_"):
            new = {"ln_pre": "pre_layrnorm", "ln_post": "post_layernorm"}
            norm, kind = rest.split(".")
            result[f"{root}.{new.get(norm, 'final_layer_norm')}.{kind}"] = value
        else:
            _, _, index, part = rest.split(".", 3)
            base = f"{root}.encoder.layers.{index}"
            if "in_proj" in part:
                kind = part.rpartition("_")[2]
                for letter, piece in zip("qkv", np.split(value, 3), strict=True):
                    result[f"{base}.self_attn.{letter}_proj.{kind}"] = piece
            else:
                module, kind = part.rsplit(".", 1)
                result[f"{base}.{parts[module]}.{kind}"] = value
    return result


def config(vocabulary: int) -> transformers.CLIPConfig:
    """The sizes as Hugging Face takes them."""
    s = SIZES
    shared = {"num_hidden_layers": LAYERS, "hidden_act": "quick_gelu"}
    shared["projection_dim"] = s["embed"]
    vision = {"hidden_size": s["vision"], "intermediate_size": 4 * s["vision"]}
    vision |= {"num_attention_heads": s["vision"] // 64, "image_size": s["image"]}
    text = {"hidden_size": s["text"], "intermediate_size": 4 * s["text"]}
    text |= {"num_attention_heads": s["text"] // 64, "vocab_size": vocabulary}
    text |= {"max_position_embeddings": s["context"], "eos_token_id": vocabulary - 1}
    text |= {"bos_token_id": vocabulary - 2, "pad_token_id": 0}
    return transformers.CLIPConfig(
        text_config=shared | text,
        vision_config=shared | vision | {"patch_size": s["patch"]},
        projection_dim=s["embed"],
    )


def learn_merges(symbols: dict[int, str]) -> list[tuple[str, str]]:
    """The most frequent pairs of symbols of a text, one after another."""
    words = []
    for word in CORPUS.split():
        word = [symbols[byte] for byte in word.encode()]
        words.append([*word[:-1], f"{word[-1]}</w>"])
    merges: list[tuple[str, str]] = []
    while pairs := Counter(p for w in words for p in zip(w, w[1:], strict=False)):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for w in words:
            for i in range(len(w) - 2, -1, -1):
                if tuple(w[i : i + 2]) == best:
                    w[i : i + 2] = ["".join(best)]
    return merges


def tokenizer(merges, symbols) -> transformers.CLIPTokenizer:
    """Hugging Face's tokenizer for these pairs."""
    names = [*symbols.values(), *(f"{v}</w>" for v in symbols.values())]
    names += ["".join(pair) for pair in merges]
    names += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {name: i for i, name in enumerate(names)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=merges)


def byte_symbols() -> dict[int, str]:
    """A character for each byte, in the order of OpenAI's vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {
        b: chr(256 + i) for i, b in enumerate(others)
    }


def main():
    """Computes and writes the results."""
    symbols = byte_symbols()
    merges = learn_merges(symbols)
    vocabulary = 512 + len(merges) + 2
    model = transformers.CLIPModel(config(vocabulary)).eval()
    given = theirs(weights.state_dict(procedural.normal, vocabulary))
    state = {k: v for k, v in model.state_dict().items() if "position_ids" not in k}
    assert state.keys() == given.keys(), state.keys() ^ given.keys()
    for name, value in state.items():
        value.copy_(value.new_tensor(given[name].copy()))
    tokens = [tokenizer(merges, symbols)(text)["input_ids"] for text in TEXTS]
    padded = [t + [0] * (SIZES["context"] - len(t)) for t in tokens]
    pixels = procedural.normal(0, "clip.pixels", (2, 3, SIZES["image"], SIZES["image"]))
    first = next(iter(state.values()))
    text = model.get_text_features(first.new_tensor(padded).long())
    image = model.get_image_features(first.new_tensor(pixels))
    out = {
        "made_by": f"scripts/clip_oracle.py, transformers {transformers.__version__}",
        "sizes": SIZES | {"layers": LAYERS, "vocabulary": vocabulary},
        "merges": [" ".join(pair) for pair in merges],
        "texts": TEXTS,
        "tokens": tokens,
        "text_vectors": rounded(text),
        "image_vectors": rounded(image),
    }
    path = ROOT / "tests/models/clip_oracle.json"
    path.write_text(json.dumps(out, ensure_ascii=False) + "\n")
    print(path)


def rounded(output) -> list:
    """Vectors as numbers of six digits."""
    vectors = getattr(output, "pooler_output", output)
    return np.round(vectors.detach().numpy().astype(float), 6).tolist()


if __name__ == "__main__":
    main()
