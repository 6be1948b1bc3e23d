"""The network of the loss `perceptual`: its maps, of a CNN trained on the dataset or of VGG16, are compared."""

from functools import partial

import keras
import tensorflow as tf
from keras.applications import vgg16

from glo.data.dataset import Dataset
from glo.features import loss_classifier, weights
from glo.runtime.errors import UserError
from glo.settings import loss_expression
from glo.settings.loss_expression import Network

# The last map of each block, before it is halved.
VGG16_MAPS = ("block1_conv2", "block2_conv2", "block3_conv3")


class LossNetwork:
    """A frozen network. sha256: of its weights, as hexadecimal text, by which a run recognises its network."""

    def __init__(self, network: keras.Model, image_shape: tuple[int, int, int], is_vgg16: bool = False):
        """network: from images float32 [B, H, W, C] to a list of maps; of VGG16, C is 3.

        is_vgg16: whether images are to be prepared as for VGG16. image_shape: (H, W, C) of the images, C 1 or 3.
        """
        network.trainable = False
        self.sha256 = weights.sha256(network.get_weights())
        self._network, self._is_vgg16 = network, is_vgg16
        self._maps = tf.function(self._compute, input_signature=[tf.TensorSpec([None, *image_shape])])

    def __call__(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Compute maps float32 [B, h, w, c] of images float32 [B, H, W, C] in [-1, 1]."""
        return self._maps(images)

    def _compute(self, images: tf.Tensor) -> list[tf.Tensor]:
        if self._is_vgg16:
            pixels = (images + 1) * 127.5
            pixels = tf.repeat(pixels, 3, axis=-1) if images.shape[-1] == 1 else pixels
            images = vgg16.preprocess_input(pixels)
        return self._network(images, training=False)


def make(loss: str, image_shape: tuple[int, int, int], dataset: Dataset | None) -> LossNetwork | None:
    """Build the network that a loss needs; None if it needs none. The network `classifier` is trained if none is saved.

    image_shape: (H, W, C). dataset: of the run, which `classifier` needs.
    Raises `UserError` if there is no dataset, if weights cannot be downloaded, and for a file of other weights.
    """
    network = loss_expression.network(loss)
    if network is None:
        return None
    if network.name == "classifier":
        if dataset is None:
            raise UserError("the loss perceptual needs the dataset that the run was trained on: give its folder")
        return LossNetwork(loss_classifier.load(dataset), image_shape)
    return LossNetwork(_vgg16(network, image_shape), image_shape, is_vgg16=True)


def _vgg16(chosen: Network, image_shape: tuple[int, int, int]) -> keras.Model:
    """VGG16 up to the last map of `VGG16_MAPS`, fewer of them for images that have no pixel left in the others."""
    build = partial(keras.applications.VGG16, include_top=False, input_shape=(None, None, 3))
    if chosen.file is None:
        network = weights.downloaded(build, "--loss perceptual(network=vgg16)", "network=classifier")
    else:
        weights.check_network(chosen)
        network = build(weights=None)
        network.set_weights(weights.read_file(chosen.file, [array.shape for array in network.get_weights()]))
    names = [name for block, name in enumerate(VGG16_MAPS) if min(image_shape[:2]) >> block]
    return keras.Model(network.input, [network.get_layer(name).output for name in names])
