import torch
from parity import answers, assert_close, published_input, published_state

from toonify.checkpoints.formats import Checkpoint, build
from toonify.checkpoints.layouts import nvidia_discriminator
from toonify.models.discriminators import StyleGAN2Discriminator, minibatch_stddev


def tiny() -> StyleGAN2Discriminator:
    return StyleGAN2Discriminator(resolution=16, channels={4: 16, 8: 12, 16: 8})


@torch.no_grad()
def test_parity_nvidia():
    state = published_state("nvidia_discriminator_128", "synthesis.D.")
    convert = Checkpoint(
        "nvidia", {"discriminator": lambda: nvidia_discriminator(state, conv_clamp=None)}
    )
    network = build("discriminator", convert)
    images = torch.tanh(published_input("in.d", 4, 3, 128, 128))
    assert_close(network(images), answers("stylegan2_ada_discriminator_128")["logits"])


def test_stddev_groups_are_strided():
    x = torch.zeros(8, 2, 4, 4)
    x[0] = 4.0  # in the group of samples 0, 2, 4, 6
    channel = minibatch_stddev(x)[:, -1]
    assert (channel[::2] > 1).all()
    assert (channel[1::2] < 1e-3).all()


def test_any_batch_size_and_a_second_gradient():
    network = tiny()
    for batch in (1, 3, 6):
        images = torch.randn(batch, 3, 16, 16, requires_grad=True)
        logits = network(images)
        assert logits.shape == (batch, 1)
    (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    slope.square().sum().backward()  # R1
    gradient = network.get_parameter("blocks.0.conv2.weight").grad
    assert gradient is not None and gradient.abs().max() > 0


def test_bfloat16():
    assert tiny().bfloat16()(torch.randn(4, 3, 16, 16).bfloat16()).isfinite().all()


def test_layers_are_all_of_it_from_the_image_on():
    network = tiny()
    layers = network.layers()
    assert layers[0] is network.from_rgb and layers[-1] is network.logit
    assert len(layers) == 1 + 3 * 2 + 3
    counted = sum(p.numel() for layer in layers for p in layer.parameters())
    assert counted == sum(p.numel() for p in network.parameters())
