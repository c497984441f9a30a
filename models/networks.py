"""The networks by name: what a card's `network` may say.

Each module has `build(classes, width, channels, size, lesion_map, dropout)`, GoogLeNet and AlexNet with options of
their own besides, and the same constants: INPUT_SIZE, SALIENCY_LAYER (explained by default), STRANGENESS_LAYERS (what
out-of-distribution looks at) and HEAD_LAYERS (new when another set of labels is learnt).
"""

from models import alexnet, googlenet, inception_v3, mobilenet_v2

NETWORKS = {
    "alexnet": alexnet,
    "googlenet": googlenet,
    "inception_v3": inception_v3,
    "mobilenet_v2": mobilenet_v2,
}
