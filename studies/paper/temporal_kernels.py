"""Figure 3: the weights of the temporal (1-D) kernels, layer by layer."""

from studies.study import Measure, Row, Study, fame, moco, random_init, supervised

LAYERS = ("layer1", "layer2", "layer3", "layer4")

STUDY = Study(
    name="temporal_kernels",
    title="Temporal kernel weights",
    paper="figure 3",
    claims=("C7",),
    rows=(
        Row("supervised", supervised()),
        Row("contrastive", moco()),
        Row("FAME", fame()),
        Row("random init", random_init()),
    ),
    measures=(
        *(Measure(f"energy/{layer}", "kernels", "A", f"{layer} energy varying in time", kind="mechanism") for layer in LAYERS),
        *(Measure(f"ratio/{layer}", "kernels", "A", f"{layer} ratio to the start", kind="mechanism") for layer in LAYERS),
        *(Measure(f"spread/{layer}", "kernels", "A", f"{layer} spread") for layer in LAYERS),
    ),
)
