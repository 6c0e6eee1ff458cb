"""The option `--precision` of commands that invert."""


def add_option(parser):
    """Adds `--precision` to a command."""
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of feature maps; bfloat16 is faster on GPUs and TPUs (default float32)",
    )
