"""Every file of configs/: it can be read, passes the checks, and says how to be run."""

import importlib
import math

import jax
import pytest
from paths import ROOT

from hyperstyle_jax.cli.main import build_parser
from hyperstyle_jax.config import checks, own_domain, reading
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.training import encoder, from_config, iterations
from hyperstyle_jax.weights import specs

FILES = sorted((ROOT / "configs").glob("*.py"))
FULL = [f.stem for f in FILES if f.stem.startswith(("ffhq", "cars", "afhq"))]


def read(stem):
    return importlib.import_module(f"configs.{stem}")


@pytest.mark.parametrize("stem", [f.stem for f in FILES])
def test_a_config_is_valid_and_says_its_command(stem):
    module = read(stem)
    checks.check(module.get_config())
    assert f"python train.py --config configs/{stem}.py" in module.__doc__


def numbers(tree) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("stem", "millions"),
    [("ffhq", 332.66), ("ffhq_medium_fine", None), ("ffhq_separable", None),
     ("cars", 325.19), ("afhq_wild", 325.19)],
)  # fmt: skip
def test_full_size_hypernetworks_have_the_released_size(stem, millions):
    config = read(stem).get_config()
    shape = from_config.image_shape(config)
    found = specs.shapes(from_config.hypernet(config), [shape] * 2)
    count = numbers(found["params"]) / 1e6
    if millions:
        assert count == pytest.approx(millions, abs=0.01)
    else:
        assert count < 332.66
    assert config.num_iters == 5 and config.optim.name == "ranger"


def test_cars_are_wider_than_high():
    """Shapes through the whole step: 192×256 in, a 512² generator."""
    config = read("cars").get_config()
    assert from_config.image_shape(config) == (192, 256, 3)
    config.init = cfg.base("hyperstyle").init  # no downloads
    config.loss.update(lpips=0.0, moco=0.0)
    nets = {
        "generator": from_config.generator(config),
        "encoder": from_config.encoder(config),
    }

    def first(variables, image):
        frozen = {k: specs.Net(m, variables[k]) for k, m in nets.items()}
        return iterations.initial_inversion(frozen, {"image": image})

    shapes = {
        "generator": specs.shapes(nets["generator"]),
        "encoder": specs.shapes(nets["encoder"], [from_config.image_shape(config)]),
    }
    image = jax.ShapeDtypeStruct((2, 192, 256, 3), "float32")
    w_plus, initial = jax.eval_shape(first, shapes, image)
    assert initial.shape == image.shape and w_plus.shape == (2, 16, 512)


def test_the_w_encoder_has_a_discriminator_of_latents():
    config = read("ffhq_w_encoder").get_config()
    assert config.loss.w_adversarial > 0 and encoder._LATENT_LR < config.optim.lr


def test_commands_in_docstrings_make_the_data_that_configs_use():
    for stem in FULL:
        text, data = (
            read(stem).__doc__.replace("\\\n", " "),
            read(stem).get_config().data,
        )
        made = {}
        for line in text.splitlines():
            if line.strip().startswith("hyperstyle prepare"):
                args = build_parser().parse_args(line.split()[1:])
                made[str(args.out)] = (args.height or args.size, args.size)
        assert all(size == cfg.image_size(data) for size in made.values())
        if made:
            assert made.keys() == {data.path, data.eval_path} - {""}


def test_pre_extraction_is_that_of_the_released_recipe():
    module, ffhq = read("ffhq_pre_extracted"), read("ffhq").get_config()
    (line,) = [x for x in module.__doc__.splitlines() if "hyperstyle pre-" in x]
    args = build_parser().parse_args(line.split()[1:])
    config = module.get_config()
    assert str(args.out) == config.data.path
    config.data.path = ffhq.data.path
    assert cfg.to_json(config) == cfg.to_json(ffhq)


def test_full_size_configs_name_their_data_and_networks():
    for stem in FULL:
        config = read(stem).get_config()
        assert config.data.kind == "tfds" and config.data.path in read(stem).__doc__ + (
            read("ffhq").__doc__
        )


@pytest.mark.parametrize("networks", own_domain.NETWORKS)
@pytest.mark.parametrize("size", own_domain.SIZES)
def test_the_settings_of_ones_own_domain_are_valid(size, networks):
    """For every size, and with few and many pictures."""
    for step in own_domain.STEPS:
        for pictures in (100, 100_000):
            options = {"networks": networks, "pictures": pictures}
            c = own_domain.config(step, size, **options)
            c.data.path = "pictures"
            checks.check(c)
            assert c.optim.schedule == "constant"  # a longer budget goes on


@pytest.mark.parametrize("step", own_domain.STEPS)
def test_configs_of_ones_own_domain_say_their_command(step):
    module = importlib.import_module(f"configs.own.{step}")
    assert f"--config configs/own/{step}.py --config.data.path=FOLDER" in module.__doc__
    file = ROOT / "configs/own" / f"{step}.py"
    for argument, size in (("", 64), (":128", 128)):
        c = reading.read(f"{file}{argument}", ["data.path=pictures"])
        assert c.model.generator.resolution == size and c.data.path == "pictures"
    with pytest.raises(ValueError, match="config.data.path is ''"):
        reading.read(file)


def test_the_generators_settings_are_the_published_ones():
    """`auto` of StyleGAN2-ADA for one device: batch, R1's weight, the average."""
    for size, batch, r1 in ((256, 16, 0.8192), (512, 8, 6.5536)):
        c = own_domain.config("generator", size)
        assert c.batch_size == batch and c.loss.r1 == pytest.approx(r1)
        assert (c.optim.b1, c.optim.b2, c.optim.ema_rampup) == (0.0, 0.99, 0.05)
        assert math.log(0.5) / math.log(c.optim.ema) == pytest.approx(312.5)
        assert c.ada.target == 0.6 and not c.data.flip
