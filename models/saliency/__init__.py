"""Saliency methods: one file and one function each; a function in, an array out, always on logits.

Every method is `explain(model_fn, x, label, **options)` and gives float (n, rows, columns) over the network's square
input. No guided variants: they draw edges, whatever the network has learnt (Adebayo et al. 2018).
"""

from models.saliency import (
    cam,
    gradcam,
    gradient,
    hirescam,
    integrated_gradients,
    lesion_map,
    occlusion,
    smoothgrad,
)

METHODS = {
    "hirescam": hirescam.explain,
    "gradcam": gradcam.explain,
    "cam": cam.explain,
    "gradient": gradient.explain,
    "smoothgrad": smoothgrad.explain,
    "integrated_gradients": integrated_gradients.explain,
    "occlusion": occlusion.explain,
    "lesion_map": lesion_map.explain,
}
"""The methods by the names of `cspine.saliency.METHODS`, which says what each acts on, costs and is called."""
