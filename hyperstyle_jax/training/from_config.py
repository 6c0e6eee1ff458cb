"""What a run's config describes: networks, their weights, the optimizer, loss weights.

The tasks read the config through these functions; what they call takes plain values.
"""

import optax
from ml_collections import ConfigDict

from hyperstyle_jax import faces
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.models.discriminator import Discriminator
from hyperstyle_jax.models.encoders import StyleEncoder, WEncoder
from hyperstyle_jax.models.feature_extractor import FeatureExtractor
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.hypernet import Hypernet, tuned_layers
from hyperstyle_jax.models.styleflow import StyleFlow
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import labels, latent_losses, optimizers, sources
from hyperstyle_jax.training.sources import Load


def image_shape(config: ConfigDict) -> tuple[int, int, int]:
    """(H, W, 3) of the run's images."""
    return (*cfg.image_size(config.data), 3)


def generator(config: ConfigDict) -> Generator:
    """The generator without weights."""
    return Generator(**config.model.generator)


def discriminator(config: ConfigDict) -> Discriminator:
    """The discriminator of the generator's images, without weights."""
    c = config.model.discriminator
    resolution = config.model.generator.resolution
    return Discriminator(resolution, c.channel_base, c.channel_max)


def encoder(config: ConfigDict) -> WEncoder:
    """The W-encoder without weights."""
    c = config.model.encoder
    return WEncoder(config.model.generator.w_dim, c.widths, c.depths)


def style_encoder(config: ConfigDict) -> StyleEncoder:
    """The encoder to W+ of a method, without weights."""
    c = config.model.style_encoder
    return StyleEncoder(
        generator(config).num_ws,
        config.model.generator.w_dim,
        c.widths,
        c.depths,
        c.trunk,
        pyramid=not c.method.startswith("restyle"),
        progressive=c.method.endswith("e4e"),
    )


def feature_extractor(config: ConfigDict) -> FeatureExtractor:
    """The feature extractor of the images' labels, without weights."""
    c = config.model.feature_extractor
    count = len(labels.known(config).attributes)
    return FeatureExtractor(count, c.widths, c.depths, c.embedding_dim)


def flow(config: ConfigDict, generator: Net, feature_extractor: Net) -> StyleFlow:
    """The flow of a generator's latents and a network's attributes, without weights.

    Raises:
        ValueError: the config names attributes of another number.
    """
    c, count = config.model.flow, feature_extractor.module.num_attributes
    names = tuple(c.attributes or faces.ATTRIBUTES)
    if len(names) != count:
        raise ValueError(
            f"config.model.flow.attributes: {len(names)} names, but the feature "
            f"extractor reads {count} attributes: name them all, in its order"
        )
    return StyleFlow(generator.module.w_dim, names, widths=c.widths)


def hypernet(config: ConfigDict) -> Hypernet:
    """The hypernetwork for the config's generator, without weights."""
    fields = dict(config.model.hypernet)
    options = {k: fields.pop(k) for k in ("preset", "to_rgb", "separable")}
    return Hypernet(tuned_layers(generator(config), **options), **fields)


def any_network(role: str, config: ConfigDict, load: Load) -> Net:
    """The network of a source, whatever its sizes; without one as the config says."""
    source = config.init[role]
    if source in ("", sources.RANDOM):
        return {
            "generator": load_generator,
            "feature_extractor": load_feature_extractor,
        }[role](config, load)
    nets = load(source)
    if role not in nets:
        raise ValueError(f"{source} has no {role}; it has {', '.join(sorted(nets))}")
    return nets[role]


def load_generator(config: ConfigDict, load: Load) -> Net:
    """The generator that the run begins with; for the errors see `sources.network`."""
    return _load("generator", config, generator(config), load)


def load_discriminator(config: ConfigDict, load: Load) -> Net:
    """The discriminator that the run begins with, see `sources.network`."""
    return _load("discriminator", config, discriminator(config), load)


def load_encoder(config: ConfigDict, load: Load) -> Net:
    """The W-encoder that the run begins with, see `sources.network`."""
    return _load("encoder", config, encoder(config), load, [image_shape(config)])


def load_style_encoder(config: ConfigDict, load: Load) -> Net:
    """The encoder to W+ that the run begins with, on the trunk of `config.init.trunk`.

    For the errors see `sources.network` and `sources.with_trunk`.
    """
    c, (height, width, channels) = config.model.style_encoder, image_shape(config)
    module = style_encoder(config)
    inputs = [(height, width, channels if module.pyramid else 2 * channels)]
    source = config.init.style_encoder
    net = sources.network(c.method, source, module, config.seed, inputs, load)
    backbone = "arcface" if c.trunk == "ir_se" else "resnet"
    return sources.with_trunk(net, "body", backbone, config.init.trunk)


def load_feature_extractor(config: ConfigDict, load: Load) -> Net:
    """The feature extractor that the run begins with, see `sources.network`.

    As a loss network it has the attributes that it was trained with.
    """
    module, shape = feature_extractor(config), image_shape(config)
    source = config.init.feature_extractor
    if config.task != "recognition" and source not in ("", sources.RANDOM):
        nets = load(source)
        if found := nets.get("feature_extractor"):
            module = module.clone(num_attributes=found.module.num_attributes)
        return _load("feature_extractor", config, module, lambda _: nets, [shape])
    return _load("feature_extractor", config, module, load, [shape])


def load_hypernet(config: ConfigDict, load: Load) -> Net:
    """The hypernetwork that the run begins with, on the trunk of `config.init.trunk`.

    For the errors see `sources.network` and `sources.with_trunk`.
    """
    shapes = [image_shape(config)] * 2
    net = _load("hypernet", config, hypernet(config), load, shapes)
    return sources.with_trunk(net, "trunk", "resnet", config.init.trunk)


def _load(name, config, module, load, inputs=None) -> Net:
    source = config.init[name]
    return sources.network(name, source, module, config.seed, inputs, load)


def generator_and_losses(config: ConfigDict, load: Load) -> dict[str, Net]:
    """What an encoder is trained against: the generator and `loss_networks`."""
    return {
        "generator": load_generator(config, load),
        **loss_networks(config, load),
    }


def loss_networks(config: ConfigDict, load: Load) -> dict[str, Net]:
    """The networks that the losses ask for: none where only L2 counts.

    LPIPS and ArcFace where `init.lpips` and `init.arcface` name bundles with them,
    else the feature extractor of the domain.

    Raises:
        ValueError: the loss MoCo has a weight but no network, or see `sources`.
    """
    weights, init = dict(config.loss), config.init
    weights["lpips"] += weights["lpips_crop"]
    network_of = {"lpips": "lpips", "id": "arcface", "moco": "moco"}
    nets = {}
    for loss, name in network_of.items():
        if weights[loss] and init[name]:
            net = sources.published(name, init[name])
            raw = name == "moco" and not weights["moco_normalize"]
            nets["moco_raw" if raw else name] = net
        elif weights[loss] and loss == "moco":
            raise ValueError(
                f"config.loss.moco is {weights['moco']} but config.init.moco is empty: "
                "name a bundle with MoCo's network, or set config.loss.moco=0"
            )
        elif weights[loss] and "feature_extractor" not in nets:
            nets["feature_extractor"] = load_feature_extractor(config, load)
    return nets


def loss_weights(config: ConfigDict) -> dict[str, float]:
    """λ of the distances between images, by their names in `criteria.distances`."""
    return {name: config.loss[name] for name in ("l2", "lpips", "id", "moco")}


def w_plus_loss_weights(config: ConfigDict) -> dict[str, float]:
    """λ of the losses of an encoder to W+, by name."""
    names = ("l2_crop", "lpips_crop", *latent_losses.W_PLUS_NAMES)
    return loss_weights(config) | {name: config.loss[name] for name in names}


def optimizer(config: ConfigDict, **ranger_options) -> optax.GradientTransformation:
    """The optimizer of `config.optim`, see `optimizers.make`."""
    fields = dict(config.optim)
    for name in ("ema", "ema_rampup"):  # the tasks average weights after the step
        fields.pop(name)
    return optimizers.make(**fields, num_steps=config.num_steps, **ranger_options)
