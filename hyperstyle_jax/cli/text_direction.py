"""`hyperstyle text-direction` makes an edit of two texts."""

from pathlib import Path

from hyperstyle_jax.system import folder_lock


def add_commands(commands):
    """Adds `hyperstyle text-direction`."""
    parser = commands.add_parser(
        "text-direction",
        help="make an edit of two texts, with a CLIP",
        description="StyleCLIP's global direction: the shift of styles that moves an "
        "image from one text to another in CLIP's space. How each style channel moves "
        "images there is measured first, by rendering; a folder keeps it for other "
        "texts, and a measurement that was stopped continues.",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument(
        "--clip",
        required=True,
        metavar="BUNDLE",
        help="a CLIP as convert_weights.py makes it of OpenAI's file, as ViT-B-32.pt",
    )
    parser.add_argument(
        "--vocabulary",
        type=Path,
        required=True,
        metavar="FILE",
        help="CLIP's bpe_simple_vocab_16e6.txt.gz",
    )
    parser.add_argument("--neutral", required=True, help='e.g. "a face"')
    parser.add_argument("--target", required=True, help='e.g. "a smiling face"')
    parser.add_argument(
        "--effects",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="of fs3.npy and S_mean_std; measured where they are missing",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.npz", help="the edit's file"
    )
    parser.add_argument(
        "--beta",
        type=float,
        default=0.1,
        help="channels of a smaller effect do not move (default 0.1; 0.08 to 0.2 "
        "are usual)",
    )
    parser.add_argument(
        "--images", type=int, default=100, help="to measure with (default 100)"
    )
    parser.add_argument(
        "--batch-size", type=int, default=10, help="images at a time (default 10)"
    )
    parser.add_argument(
        "--templates",
        type=Path,
        metavar="FILE",
        help="sentences with {} for the text, one a line (default: twelve)",
    )
    parser.set_defaults(run=run)


def run(args):
    """Makes the edit; the folder of effects is held meanwhile."""
    if args.out.suffix != ".npz":
        raise ValueError(f"--out {args.out}: expected a name that ends in .npz")
    for name in ("images", "batch_size"):
        if getattr(args, name) < 1:
            option = name.replace("_", "-")
            raise ValueError(f"--{option} {getattr(args, name)}: expected 1 or more")
    with folder_lock.hold(args.effects):
        _run(args)


def _run(args):
    from functools import partial

    from tqdm import tqdm

    from hyperstyle_jax.editing import clip_text, effect_files, styleclip
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    compilation_cache.enable()
    model, clip_bundle = bundle.load(args.bundle), bundle.load(args.clip)
    (generator,), (clip,) = model.require("generator"), clip_bundle.require("clip")
    words = clip_text.read_vocabulary(args.vocabulary, clip.module.vocabulary)
    templates = clip_text.TEMPLATES
    if args.templates:
        templates = clip_text.read_templates(args.templates)
    target, neutral = (
        clip_text.text_vector(clip, words, text, templates)
        for text in (args.target, args.neutral)
    )
    if not (target != neutral).any():
        raise ValueError(f"--target {args.target!r} is --neutral: nothing would move")
    effects = effect_files.find_or_measure(
        args.effects,
        generator,
        clip,
        {"generator": model.id, "clip": clip_bundle.id},
        images=args.images,
        batch_size=args.batch_size,
        progress=partial(tqdm, unit="layer", disable=None),
    )
    shifts = styleclip.global_direction(
        effects.effects,
        target - neutral,
        effects.std,
        generator.module.layers(),
        args.beta,
    )
    moved = sum(int((shift != 0).sum()) for shift in shifts.values())
    if not moved:
        raise ValueError(f"no channel has an effect of --beta {args.beta}: lower it")
    effect_files.save_shifts(args.out, shifts)
    print(f"{moved} of {len(effects.effects)} style channels move; edit in {args.out}")
    print(f"hyperstyle edit … --edit {args.out}=2")
