"""Official parameter names and layouts ↔ ours: one table per network.

Paths start with the collection: params, buffers or batch_stats.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hyperstyle_jax.convert.layouts import SAME, Constant, Rule, Table
from hyperstyle_jax.models.lpips import Trunk

CONV = "o i h w -> h w i o"
LINEAR = "o i -> i o"
MODULATED = "1 o i h w -> h w i o"
RGB_BIAS = "1 c 1 1 -> c"
FIR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64
TRACKED = np.zeros((), np.int64)


def linear(name: str, path: str) -> list[Rule]:
    return [
        Rule(f"{name}.weight", f"params/{path}/weight", LINEAR),
        Rule(f"{name}.bias", f"params/{path}/bias"),
    ]


def conv(name: str, path: str, bias: bool = True) -> list[Rule]:
    rules = [Rule(f"{name}.weight", f"params/{path}/weight", CONV)]
    return rules + [Rule(f"{name}.bias", f"params/{path}/bias")] * bias


def norm(name: str, path: str, affine: bool = True) -> list[Rule | Constant]:
    rows: list[Rule | Constant] = []
    if affine:
        rows = [Rule(f"{name}.{k}", f"params/{path}/{k}") for k in ("weight", "bias")]
    return rows + [
        Rule(f"{name}.running_mean", f"batch_stats/{path}/mean"),
        Rule(f"{name}.running_var", f"batch_stats/{path}/var"),
        Constant(f"{name}.num_batches_tracked", TRACKED),
    ]


def conv_norm(conv_name: str, norm_name: str, path: str) -> list[Rule | Constant]:
    shortcut = conv(conv_name, f"{path}/conv", bias=False)
    return shortcut + norm(norm_name, f"{path}/norm")


def generator(module) -> Table:
    """Rosinality's layout."""
    rows: list[Rule | Constant] = []
    for i in range(module.num_mapping_layers):
        rows += linear(f"style.{i + 1}", f"mapping/fc{i}")
    const = "params/synthesis/b4/const"
    rows += [Rule("input.input", const, "1 c h w -> h w c")]
    noise = 0
    for layer in module.layers():
        name, path = _rosinality_name(layer), layer.path.removesuffix("/weight")
        rows += [Rule(f"{name}.conv.weight", f"params/{path}/weight", MODULATED)]
        rows += linear(f"{name}.conv.modulation", f"{path}/affine")
        if layer.kernel == 1:
            rows += [Rule(f"{name}.bias", f"params/{path}/bias", RGB_BIAS)]
            if layer.resolution > 4:
                rows += [Constant(f"{name}.upsample.kernel", 4 * FIR, True)]
            continue
        strength, buffer = (
            f"params/{path}/noise_strength",
            f"buffers/{path}/noise_const",
        )
        rows += [
            Rule(f"{name}.noise.weight", strength, "1 ->"),
            Rule(f"{name}.activate.bias", f"params/{path}/bias"),
            Rule(f"noises.noise_{noise}", buffer, "1 1 h w -> h w"),
        ]
        if path.endswith("conv0"):
            rows += [Constant(f"{name}.conv.blur.kernel", 4 * FIR, True)]
        noise += 1
    return rows


def _rosinality_name(layer) -> str:
    kind, step = layer.path.split("/")[2], int(math.log2(layer.resolution)) - 3
    if layer.resolution == 4:
        return {"conv1": "conv1", "torgb": "to_rgb1"}[kind]
    return {
        "conv0": f"convs.{2 * step}",
        "conv1": f"convs.{2 * step + 1}",
        "torgb": f"to_rgbs.{step}",
    }[kind]


def latent_avg(path: str, shape: Sequence[int], ours: Sequence[int]) -> Table:
    """The mean latent, which files hold once or once per layer."""
    layout = SAME
    if len(shape) == 2 and len(ours) == 1:
        layout = "l* d -> d"
    sizes = {"l": shape[0]} if layout else {}
    return [Rule("latent_avg", path, layout, sizes)]


def nvidia_generator(module) -> Table:
    """NVIDIA's stylegan2-ada-pytorch."""
    rows: list[Rule | Constant] = [Rule("mapping.w_avg", "buffers/mapping/w_avg")]
    for i in range(module.num_mapping_layers):
        rows += linear(f"mapping.fc{i}", f"mapping/fc{i}")
    const = "params/synthesis/b4/const"
    rows += [Rule("synthesis.b4.const", const, "c h w -> h w c")]
    for layer in module.layers():
        path = layer.path.removesuffix("/weight")
        name = path.replace("/", ".")
        rows += conv(name, path) + linear(f"{name}.affine", f"{path}/affine")
        if layer.kernel == 1:
            block = name.rpartition(".")[0]
            rows += [Constant(f"{block}.resample_filter", FIR, True)]
            continue
        rows += [
            Rule(f"{name}.noise_strength", f"params/{path}/noise_strength"),
            Rule(f"{name}.noise_const", f"buffers/{path}/noise_const"),
            Constant(f"{name}.resample_filter", FIR, True),
        ]
    return rows


def discriminator(module) -> Table:
    """Rosinality's layout."""
    rows: list[Rule | Constant] = []
    rows += conv("convs.0.0", f"b{module.resolution}/fromrgb", bias=False)
    rows += [Rule("convs.0.1.bias", f"params/b{module.resolution}/fromrgb/bias")]
    for k in range(1, int(math.log2(module.resolution)) - 1):
        path, name = f"b{2 * module.resolution >> k}", f"convs.{k}"
        for part, place, before in (("conv1", "conv0", 0), ("conv2", "conv1", 1)):
            rows += conv(f"{name}.{part}.{before}", f"{path}/{place}", bias=False)
            bias = f"{name}.{part}.{before + 1}.bias"
            rows += [Rule(bias, f"params/{path}/{place}/bias")]
        rows += conv(f"{name}.skip.1", f"{path}/skip", bias=False)
        for part in ("conv2", "skip"):
            rows += [Constant(f"{name}.{part}.0.kernel", FIR, True)]
    rows += conv("final_conv.0", "b4/conv", bias=False)
    rows += [Rule("final_conv.1.bias", "params/b4/conv/bias")]
    return (
        rows + _flat("final_linear.0", "b4/fc", 4) + linear("final_linear.1", "b4/out")
    )


def nvidia_discriminator(module) -> Table:
    """NVIDIA's stylegan2-ada-pytorch, its architecture "resnet"."""
    rows: list[Rule | Constant] = []
    for k in range(int(math.log2(module.resolution)), 2, -1):
        name = path = f"b{2**k}"
        if 2**k == module.resolution:
            rows += conv(f"{name}.fromrgb", f"{path}/fromrgb")
        for part in ("conv0", "conv1"):
            rows += conv(f"{name}.{part}", f"{path}/{part}")
        rows += conv(f"{name}.skip", f"{path}/skip", bias=False)
        filters = ("", "fromrgb.", "conv0.", "conv1.", "skip.")
        rows += [Constant(f"{name}.{f}resample_filter", FIR, True) for f in filters]
    rows += conv("b4.conv", "b4/conv") + [Constant("b4.conv.resample_filter", FIR)]
    return rows + _flat("b4.fc", "b4/fc", 4) + linear("b4.out", "b4/out")


def _flat(name, path, size, order="c h w"):
    """A linear layer over all positions of a map."""
    layout, sizes = f"e ({order}) -> (h w c) e", {"h": size, "w": size}
    return [
        Rule(f"{name}.weight", f"params/{path}/weight", layout, sizes),
        Rule(f"{name}.bias", f"params/{path}/bias"),
    ]


def ir_net(module, path: str) -> Table:
    """The trunk of the ArcFace family (pSp's names)."""
    rows: list[Rule | Constant] = []
    rows += conv("input_layer.0", f"{path}/stem/conv", bias=False)
    rows += norm("input_layer.1", f"{path}/stem/norm")
    rows += [Rule("input_layer.2.weight", f"params/{path}/stem/prelu/weight")]
    widths = [
        w for w, d in zip(module.widths, module.depths, strict=True) for _ in range(d)
    ]
    for n, width in enumerate(widths):
        name, block = f"body.{n}.res_layer", f"{path}/block{n}"
        rows += norm(f"{name}.0", f"{block}/norm1")
        rows += conv(f"{name}.1", f"{block}/conv1", bias=False)
        rows += [Rule(f"{name}.2.weight", f"params/{block}/prelu/weight")]
        rows += conv(f"{name}.3", f"{block}/conv2", bias=False)
        rows += norm(f"{name}.4", f"{block}/norm2")
        if getattr(module, "squeeze_excite", True):
            for fc in ("fc1", "fc2"):
                rows += conv(f"{name}.5.{fc}", f"{block}/se/{fc}", bias=False)
        if width != widths[max(n - 1, 0)]:
            shortcut = f"body.{n}.shortcut_layer"
            rows += conv_norm(f"{shortcut}.0", f"{shortcut}.1", f"{block}/shortcut")
    return rows


def face_net(module, size: int = 7) -> Table:
    """ArcFace and CurricularFace; `size` of the map before the linear layer."""
    head = norm("output_layer.0", "head/norm1")
    head += _flat("output_layer.3", "head/linear", size)
    head += norm("output_layer.4", "head/norm2", module.affine)
    return [*ir_net(module, "body"), *head]


def w_encoder(module) -> Table:
    return [*ir_net(module, "body"), *linear("linear", "linear")]


def style_encoder(module, convs: Sequence[int]) -> Table:
    """pSp, e4e and ReStyle; `convs` counts the convolutions of each style block."""
    if module.trunk == "resnet":
        rows = list(resnet(module, "body", flat=True, prelu=True))
    else:
        rows = list(ir_net(module, "body"))
    if module.pyramid:
        for i in (1, 2):
            rows += conv(f"latlayer{i}", f"lateral{i}")
    for i, count in enumerate(convs):
        for j in range(count):
            rows += conv(f"styles.{i}.convs.{2 * j}", f"style{i}/conv{j}")
        rows += linear(f"styles.{i}.linear", f"style{i}/linear")
    return rows


def resnet(module, path: str = "", *, flat: bool = False, prelu: bool = False) -> Table:
    """Torchvision's names, or with `flat` HyperStyle's, which number all blocks."""
    root = f"{path}/" if path else ""
    rows: list[Rule | Constant] = []
    rows += conv("conv1", f"{root}stem/conv", bias=False)
    rows += norm("bn1", f"{root}stem/norm")
    if prelu:
        rows += [Rule("relu.weight", f"params/{root}stem/prelu/weight")]
    bottleneck = getattr(module, "bottleneck", False)
    blocks = [(stage, i) for stage, d in enumerate(module.depths) for i in range(d)]
    for n, (stage, i) in enumerate(blocks):
        name = f"body.{n}" if flat else f"layer{stage + 1}.{i}"
        block = f"{root}block{n}"
        for part in range(1, 4 if bottleneck else 3):
            rows += conv(f"{name}.conv{part}", f"{block}/conv{part}", bias=False)
            rows += norm(f"{name}.bn{part}", f"{block}/norm{part}")
        if i == 0 and (stage > 0 or bottleneck):
            shortcut = f"{name}.downsample"
            rows += conv_norm(f"{shortcut}.0", f"{shortcut}.1", f"{block}/shortcut")
    return rows


def hypernet(module, convs: Mapping[str, int]) -> Table:
    """HyperStyle's hypernetworks; `convs` counts each tuned layer's convolutions."""
    rows = list(resnet(module, "trunk", flat=True, prelu=True))
    for layer in module.tuned_layers:
        path, width_in, width_out, kernel, kind = layer
        name = f"refinement_blocks.{layer_index(path)}"
        place = layer.name
        for i in range(convs[path]):
            rows += conv(f"{name}.convs.{2 * i}", f"embed_{place}/conv{i}")
        if kind == "shared":
            rows += linear(f"{name}.linear", f"linear_{place}")
            rows += shared_head(
                kernel if module.shared_kernel else 1, f"{name}.hypernet."
            )
        elif kind == "separable":
            rows += _separable(f"{name}.output.0", f"decode_{place}", kernel)
        else:
            sizes = {"o": width_out, "i": width_in}
            root = f"params/decode_{place}"
            output = f"{name}.output.{0 if kind == 'rgb' else 1}"  # 0 is a pooling
            layout = "(o i) c 1 1 -> c i o"
            rows += [
                Rule(f"{output}.weight", f"{root}/weight", layout, sizes),
                Rule(f"{output}.bias", f"{root}/bias", "(o i) -> i o", sizes),
            ]
    shared = [layer for layer in module.tuned_layers if layer.kind == "shared"]
    if shared:
        kernel = shared[0].kernel if module.shared_kernel else 1
        rows += shared_head(kernel, "shared_weight_hypernet.")
    return rows


def shared_head(kernel: int, prefix: str = "", path: str = "shared") -> list[Rule]:
    """Two matrices; the rows of what the second one makes are output channels."""
    sizes = {"h": kernel, "w": kernel}
    return [
        Rule(f"{prefix}w1", f"params/{path}/w1", "z (i h w) -> z h w i", sizes),
        Rule(f"{prefix}b1", f"params/{path}/b1", "(i h w) -> h w i", sizes),
        Rule(f"{prefix}w2", f"params/{path}/w2", "c (o z) -> c o z"),
        Rule(f"{prefix}b2", f"params/{path}/b2", "(o z) -> o z"),
    ]


def _separable(name, path, kernel):
    rows = []
    for official, ours in (("in", "left"), ("out", "right")):
        sizes = {"h": kernel, "w": kernel}
        root, place = f"{name}.make_kernel_{official}", f"params/{path}/{ours}"
        layout = "(h w i) c -> c h w i"
        rows += [
            Rule(f"{root}.weight", f"{place}/weight", layout, sizes),
            Rule(f"{root}.bias", f"{place}/bias", "(h w i) -> h w i", sizes),
        ]
        rows += linear(f"{name}.kernel_linear_{official}", f"{path}/mix_{official}")
    return rows


def layer_index(path: str) -> int:
    """The official number of a generator's layer: conv, toRGB, conv, conv, toRGB, …"""
    _, block, kind, _ = path.split("/")
    step = 3 * (int(math.log2(int(block[1:]))) - 2)
    return step + {"conv0": -1, "conv1": 0, "torgb": 1}[kind]


def lpips_trunk(module, path: str = "") -> Table:
    """Torchvision's AlexNet, VGG16 or SqueezeNet."""
    rows: list[Rule] = []
    for layer in module.convolutions():
        rows += conv(f"features.{layer.replace('/', '.')}", f"{path}layer{layer}")
    return rows


def lpips_heads(count: int, path: str = "") -> Table:
    return [
        Rule(f"lin{i}.model.1.weight", f"params/{path}lin{i}", RGB_BIAS)
        for i in range(count)
    ]


def lpips(module) -> Table:
    """Both in one dict."""
    trunk = Trunk(module.net)
    heads = lpips_heads(len(trunk.widths()), "heads/")
    return [*lpips_trunk(trunk, "trunk/"), *heads]


# Official name of the layer: ours; the maps before linear layers lie as c, w, h.
_PNET = {"conv4_1": "face", "conv4_2": "box"}
_RNET = {"conv5_1": "face", "conv5_2": "box"}
_ONET = {"conv6_1": "face", "conv6_2": "box", "conv6_3": "landmarks"}


def mtcnn(which: str) -> Table:
    """MTCNN's "pnet", "rnet" or "onet"."""
    count = {"pnet": 3, "rnet": 3, "onet": 4}[which]
    rows: list[Rule] = []
    for i in range(1, count + 1):
        rows += conv(f"features.conv{i}", f"conv{i}")
    outputs = {"pnet": _PNET, "rnet": _RNET, "onet": _ONET}[which]
    if which == "pnet":
        for name, path in outputs.items():
            rows += conv(name, path)
    else:
        last = count + 1
        rows += _flat(f"features.conv{last}", f"fc{last}", 3, "c w h")
        for name, path in outputs.items():
            rows += linear(name, path)
    for i in range(1, count + 1 + (which != "pnet")):
        rows += [Rule(f"features.prelu{i}.weight", f"params/prelu{i}/weight")]
    return rows
