"""Every word that stands in a picture, in English and in Brazilian Portuguese."""

from __future__ import annotations

from typing import Literal, get_args

from vaelab.errors import UserError, nearest

Lang = Literal["en", "pt"]

LABELS: dict[str, dict[Lang, str]] = {
    "train": {"en": "train", "pt": "treino"},
    "validation": {"en": "validation", "pt": "validação"},
    "test": {"en": "test", "pt": "teste"},
    "epoch": {"en": "epoch", "pt": "época"},
    "at_epoch": {"en": "epoch {epoch}", "pt": "época {epoch}"},
    "outside": {"en": "epoch {epoch}, {split}: {value}", "pt": "época {epoch}, {split}: {value}"},
    "nats": {"en": "nats per image", "pt": "nats por imagem"},
    "bound": {
        "en": "{split}, importance-weighted bound",
        "pt": "{split}, cota com pesos de importância",
    },
    "loss": {"en": "Total (distortion + rate)", "pt": "Total (distorção + taxa)"},
    "distortion": {"en": "Distortion (reconstruction)", "pt": "Distorção (reconstrução)"},
    "rate": {"en": "Rate (KL divergence)", "pt": "Taxa (divergência KL)"},
    "beta": {"en": "β, weight of the rate", "pt": "β, peso da taxa"},
    "examples": {"en": "Examples and their labels", "pt": "Exemplos e seus rótulos"},
    "unlabelled": {"en": "Examples", "pt": "Exemplos"},
    "original": {"en": "original", "pt": "original"},
    "reconstruction": {"en": "reconstruction", "pt": "reconstrução"},
    "pairs": {
        "en": "Originals over their reconstructions",
        "pt": "Originais acima de suas reconstruções",
    },
    "sample": {"en": "sample", "pt": "amostra"},
    "neighbour": {"en": "nearest training image", "pt": "imagem de treino mais próxima"},
    "samples": {"en": "Samples from the prior", "pt": "Amostras da priori"},
    "interpolation": {
        "en": "Interpolation in the latent space",
        "pt": "Interpolação no espaço latente",
    },
    "manifold": {
        "en": "Images decoded across the latent plane",
        "pt": "Imagens decodificadas no plano latente",
    },
    "latent": {
        "en": "Latent space (posterior means)",
        "pt": "Espaço latente (médias da posteriori)",
    },
    "class": {"en": "class", "pt": "classe"},
    "count": {"en": "number of images", "pt": "número de imagens"},
    "pca": {
        "en": "PCA ({share}% of the variance explained)",
        "pt": "PCA ({share}% da variância explicada)",
    },
    "component": {"en": "component {n} ({share}%)", "pt": "componente {n} ({share}%)"},
    "tsne": {"en": "t-SNE of the posterior means", "pt": "t-SNE das médias da posteriori"},
    "prior": {"en": "prior N(0, I): radii 1 and 2", "pt": "priori N(0, I): raios 1 e 2"},
}


def label(key: str, lang: Lang, **values: object) -> str:
    """The text of `key`, its {slots} filled; floats with one decimal, after a comma in Portuguese.

    >>> label("pca", "pt", share=16.2)
    'PCA (16,2% da variância explicada)'

    Raises `UserError` where there is no such language.
    """
    if lang not in get_args(Lang):
        raise UserError(f"figures.lang: there is no {lang!r}; {nearest(str(lang), get_args(Lang))}")
    filled = {
        name: decimal(f"{v:.1f}", lang) if isinstance(v, float) else v for name, v in values.items()
    }
    return LABELS[key][lang].format(**filled)


def decimal(number: str, lang: Lang) -> str:
    """`number` with the decimal mark of the language.

    >>> decimal("103.9", "pt")
    '103,9'
    """
    return number.replace(".", ",") if lang == "pt" else number
