"""From a file of the Caffe or ONNX model zoo, or of Keras applications, to our own file of weights."""

from collections.abc import Mapping
from pathlib import Path

from cspine import releases
from cspine.card import Input
from cspine.errors import Usage
from models.networks import NETWORKS
from models.pretrained import applications, bvlc, caffe, zoo
from models.pretrained.store import Layers, Weights

KINDS: Mapping[str, tuple[str, ...]] = {
    "alexnet": (".caffemodel", ".onnx"),
    "googlenet": (".caffemodel", ".onnx"),
    "inception_v3": (".h5",),
    "mobilenet_v2": (".h5",),
}


def trained_on(network: str) -> Input:
    """Return the input that ImageNet's weights of a network were trained on, letterboxed as our films are."""
    size = NETWORKS[network].INPUT_SIZE
    if network in bvlc.NAMES:
        return Input(size=size, channels=3, scale="caffe", order="bgr")
    return Input(size=size, channels=3, scale="symmetric")


def imported(path: Path, network: str) -> Weights:
    """Read a file of weights for a network; raises `Usage` where it is of another kind, network or shape."""
    if path.suffix not in KINDS[network]:
        raise Usage(f"{network} is imported from {' or '.join(KINDS[network])} files, not from {path.name}")
    origin = f"{path.name} sha256:{releases.file_sha256(path)}"
    return Weights(network, trained_on(network), origin, _layers(path, network))


def _layers(path: Path, network: str) -> Layers:
    if path.suffix == ".h5":
        return applications.read(path, network)
    blobs = caffe.read(path) if path.suffix == ".caffemodel" else zoo.read(path)
    classifier = "fc8" if network == "alexnet" else "loss3/classifier"
    if classifier not in blobs:
        raise Usage(f"{path.name} lacks {classifier} of {network}")
    heads = {"auxiliary": True} if network == "googlenet" else {}
    return bvlc.converted(NETWORKS[network].build(blobs[classifier][1].size, **heads), blobs, path.name)
