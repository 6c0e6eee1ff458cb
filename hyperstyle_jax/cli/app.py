"""`hyperstyle app` serves a page on which photos are inverted and edited."""

import os
from pathlib import Path


def add_commands(commands):
    """Adds `hyperstyle app`."""
    parser = commands.add_parser(
        "app",
        help="edit photos on a page in the browser",
        description="Serves a page to this machine: photos in, inversions, sliders, "
        "dragging, whole folders. Needs the extra `app`; nothing is fetched from "
        "anywhere, and no picture leaves the machine.",
    )
    parser.add_argument("--model", default="demo", help="bundle (default: demo)")
    parser.add_argument(
        "--num-iters", type=int, help="iterations; 0 is the initial inversion alone"
    )
    parser.add_argument(
        "--landmarks",
        metavar="dlib|mediapipe|mtcnn|FILE.json|none",
        help="what finds faces (default: dlib where it is installed, else none, which "
        "takes the middle of each picture)",
    )
    parser.add_argument(
        "--landmark-model",
        type=Path,
        metavar="PATH",
        help="mediapipe's .task file; for mtcnn a bundle or folder",
    )
    parser.add_argument(
        "--port", type=int, help="default: the first free one from 7860"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default 127.0.0.1, this machine alone); others "
        "need --password",
    )
    parser.add_argument(
        "--password",
        help="what people must give; the variable HYPERSTYLE_PASSWORD is not seen in "
        "lists of processes",
    )
    parser.add_argument(
        "--open", action="store_true", help="open the page in the browser"
    )
    parser.set_defaults(run=run)


def run(args):
    """Serves until Ctrl-C."""
    from hyperstyle_jax.app import serving

    password = args.password or os.environ.get("HYPERSTYLE_PASSWORD")
    serving.check(args.host, password)
    from hyperstyle_jax.app.engine import Engine
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    compilation_cache.enable()
    model = bundle.load(args.model)
    engine = Engine(model, _finder(args), args.num_iters)
    for what, seconds in engine.compile():
        print(f"ready after {seconds:.1f} s: {what}", flush=True)
    served = serving.serve(
        engine,
        Path(args.model).name,
        host=args.host,
        port=args.port,
        password=password,
        open_browser=args.open,
    )
    print(f"the page: {served.url} (Ctrl-C ends it)", flush=True)
    try:
        served.wait()
    finally:
        served.close()


def _finder(args):
    """The finder that was asked for; without a wish dlib, if it is there."""
    from hyperstyle_jax.photos import landmarks

    if args.landmarks == "none":
        return None
    if args.landmarks:
        return landmarks.load(args.landmarks, args.landmark_model)
    try:
        return landmarks.load()
    except ValueError:
        return None
