"""The text of the figures, in English and in Brazilian Portuguese."""

from __future__ import annotations

from typing import Literal, get_args

from vaelab.errors import UserError, nearest

Lang = Literal["en", "pt"]

LABELS: dict[str, tuple[str, str]] = {  # English, Portuguese
    "train": ("training", "treino"),
    "validation": ("validation", "validação"),
    "test": ("test", "teste"),
    "epoch": ("epoch", "época"),
    "outside": ("epoch {epoch}, {split}: {value}", "época {epoch}, {split}: {value}"),
    "more": ("and {count} more", "e mais {count}"),
    "nats": ("nats per image", "nats por imagem"),
    "nats_row": ("nats per example", "nats por exemplo"),
    "bound": ("{split}, importance-weighted bound", "{split}, limite com pesos de importância"),
    "loss": ("Loss: distortion + rate", "Perda: distorção + taxa"),
    "distortion": ("Distortion (reconstruction)", "Distorção (reconstrução)"),
    "rate": ("Rate (KL divergence)", "Taxa (divergência KL)"),
    "beta": ("β, weight of the rate", "β, peso da taxa"),
    "examples": ("Examples of the data", "Exemplos dos dados"),
    "original": ("original", "original"),
    "reconstruction": ("reconstruction", "reconstrução"),
    "sample": ("sample", "amostra"),
    "made": ("samples", "amostras"),
    "pairs": ("Originals and reconstructions", "Originais e reconstruções"),
    "data": ("data", "dados"),
    "neighbour": ("nearest training image", "imagem de treino mais próxima"),
    "samples": ("Samples from the prior", "Amostras da distribuição a priori"),
    "samples_class": (
        "Samples from the prior, by class",
        "Amostras da distribuição a priori, por classe",
    ),
    "samples_point": (
        "Decoded random codes, z ~ N(0, I)",
        "Códigos aleatórios decodificados, z ~ N(0, I)",
    ),
    "samples_fitted": (
        "Samples from the fitted prior",
        "Amostras da distribuição a priori ajustada",
    ),
    "interpolation": ("Interpolation in the latent space", "Interpolação no espaço latente"),
    "manifold": ("Codes decoded across the latent plane", "Códigos decodificados no plano latente"),
    "traversal": ("Codes decoded along the latent axis", "Códigos decodificados no eixo latente"),
    "latent": ("Latent space (posterior means)", "Espaço latente (médias a posteriori)"),
    "latent_point": ("Latent space (codes)", "Espaço latente (códigos)"),
    "class": ("class", "classe"),
    "others": ("{count:,} other classes", "outras {count:,} classes"),
    "density": ("density", "densidade"),
    "pca": ("PCA ({share}% of the variance)", "PCA ({share}% da variância)"),
    "component": ("component {n} ({share}%)", "componente {n} ({share}%)"),
    "tsne": ("t-SNE", "t-SNE"),
    "prior": ("prior N(0, I): radii 1 and 2", "distribuição a priori N(0, I): raios 1 e 2"),
    "step": ("step", "passo"),
    "feature": ("feature {n}", "variável {n}"),
    "features": ("feature number", "número da variável"),
    "value": ("value", "valor"),
    "channel": ("channel {n}", "canal {n}"),
}


def label(key: str, lang: Lang, **values: object) -> str:
    """Return the text of `key` with its {slots} filled; a float is written with one decimal.

    Portuguese has a decimal comma and separates thousands by a point.

    >>> label("pca", "pt", share=16.2)
    'PCA (16,2% da variância)'

    Raises:
        UserError: There is no such language.
    """
    if lang not in get_args(Lang):
        raise UserError(f"figures.lang: there is no {lang!r}; {nearest(str(lang), get_args(Lang))}")
    filled = {name: number(v, lang) if isinstance(v, float) else v for name, v in values.items()}
    text = LABELS[key][lang == "pt"].format(**filled)
    return text.replace(",", ".") if key == "others" and lang == "pt" else text


def number(value: float, lang: Lang) -> str:
    """Write a value with one decimal, in powers of ten where it is large.

    >>> number(-103.94, "pt"), number(3.2e31, "en")
    ('−103,9', '3.2e+31')
    """
    return decimal(f"{value:.1f}" if abs(value) < 1e5 else f"{value:.2g}", lang)


def decimal(text: str, lang: Lang) -> str:
    """Replace hyphen by minus, and the decimal point by the mark of the language.

    >>> decimal("-0.5", "pt")
    '−0,5'
    """
    return (text.replace(".", ",") if lang == "pt" else text).replace("-", "−")
