# %% [markdown] en
# # 3. Looking at a latent space
#
# A trained VAE is a map: every image has a place, and every place has an image. In this lesson you
# learn to read such a map, with the pictures that papers show of it, and you see for each of them
# what it proves and what it does not.
#
# You need [lesson 2](2-vae.ipynb): posterior $q(z \mid x)$, prior $p(z)$, distortion, rate.

# %% [markdown] pt
# # 3. Como olhar um espaço latente
#
# Um VAE treinado é um mapa: cada imagem tem um lugar, e cada lugar tem uma imagem. Nesta lição você
# aprende a ler um mapa desses, com as figuras que os artigos mostram dele, e vê, para cada uma, o
# que ela prova e o que não prova.
#
# Você precisa da [lição 2](2-vae.ipynb): posterior $q(z \mid x)$, distribuição a priori $p(z)$,
# distorção, taxa.

# %%
from statistics import NormalDist

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Circle, Ellipse

import vaelab
from vaelab.plots import COLOURS

LANG = "en"
plt.rcParams.update({"figure.dpi": 110, "font.size": 9})
colours = np.array(COLOURS)


def t(en, pt):
    """The text of a label in the language of this notebook."""
    return {"en": en, "pt": pt}[LANG]


def show(ax, images, columns, title=""):
    """Small images (N, H, W) side by side as one large image."""
    images = np.pad(np.asarray(images), ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    n, height, width = images.shape
    rows = images.reshape(n // columns, columns, height, width).transpose(0, 2, 1, 3)
    ax.imshow(rows.reshape(-1, columns * width), cmap="gray_r", vmin=0, vmax=1)
    ax.set_title(title)
    ax.axis("off")


def circles(ax):
    """One and two standard deviations of the prior."""
    for radius in (1, 2):
        ax.add_patch(Circle((0, 0), radius, fill=False, linestyle="--", linewidth=0.8))
    ax.set(aspect="equal", xlabel="$z_1$", ylabel="$z_2$")


# %% [markdown] en
# ## Two models
#
# We train two VAEs on the binary digits of lesson 2: one with 2 latent dimensions, which can be
# plotted, and one with 16, which cannot.

# %% [markdown] pt
# ## Dois modelos
#
# Treinamos dois VAEs nos dígitos binários da lição 2: um com 2 dimensões latentes, que se pode
# desenhar, e um com 16, que não se pode.

# %% live
settings = {
    "data.source": "digits",
    "data.test": 0.3,
    "data.treatment": "threshold",
    "model.likelihood": "bernoulli",
    "model.hidden": [128],
    "train.epochs": 60,
    "train.threads": 1,
    "figures.lang": LANG,
}
wide = {"model.latent": 16, "train.epochs": 120, "train.learning_rate": 4e-3}
flat_run = vaelab.train(
    vaelab.recipe("quickstart", settings), "runs/two", overwrite=True, quiet=True
)
wide_run = vaelab.train(
    vaelab.recipe("quickstart", settings | wide), "runs/sixteen", overwrite=True
)

# %%
flat, deep = flat_run.vae, wide_run.vae
digits = flat_run.data
ink = digits.levels - 1  # the pixel value of full ink, here 16
x_train, x_test = ((split.x / ink >= 0.5).float() for split in (digits.train, digits.test))
y_train, y_test = digits.train.y.numpy(), digits.test.y.numpy()
wide_run

# %% [markdown] en
# A run on the last line of a cell shows its **card**: model, data, the terms of the loss on the
# test images, and two pictures. The full report is the page `report.html` in the run folder;
# `vaelab report runs` puts all runs into one table.
#
# ## Points and clouds
#
# The usual picture shows a point for each test image, the *mean* of its posterior. But the code of
# an image is a cloud. The right panel draws some clouds as ellipses of one standard deviation.

# %% [markdown] pt
# Uma execução na última linha de uma célula mostra o seu **cartão**: modelo, dados, os termos da
# perda nas imagens de teste e duas figuras. O relatório completo é a página `report.html` na pasta
# da execução; `vaelab report runs` reúne todas em uma tabela.
#
# ## Pontos e nuvens
#
# A figura habitual mostra um ponto para cada imagem de teste, a *média* da sua posterior. Mas o
# código de uma imagem é uma nuvem. O painel da direita desenha algumas nuvens como elipses de um
# desvio padrão.


# %%
@torch.no_grad()
def posterior(vae, x):
    """Means and standard deviations of q(z|x), (N, L)."""
    normal = vae.encoder(x).base_dist
    return normal.loc, normal.scale


mu, sigma = posterior(flat, x_test)
fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.9), layout="constrained")
left.scatter(*mu.T, c=colours[y_test], s=6, linewidths=0)
for digit in range(10):
    place = mu[y_test == digit].median(0).values
    left.annotate(
        str(digit), place, color=colours[digit], weight="bold", ha="center", va="center",
        bbox={"boxstyle": "circle,pad=0.15", "color": "white", "alpha": 0.8},
    )  # fmt: skip
for m, s, label in zip(mu[::4], sigma[::4], y_test[::4], strict=True):
    right.add_patch(Ellipse(m, *(2 * s), color=colours[label], alpha=0.35, linewidth=0))
left.set_title(t("means", "médias"))
right.set_title(t("clouds", "nuvens"))
for ax in (left, right):
    circles(ax)
    ax.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2))
plt.show()

# %% [markdown] en
# The clouds overlap, and together they cover the prior. Their average over all images is the
# **aggregate posterior**
#
# $$q(z) = \frac 1N \sum_{n=1}^N q(z \mid x_n) .$$
#
# If $q(z)$ equals the prior, then a sample of the prior is as good as the code of an image. A
# useful check is the variance. The variance of $q(z)$ is the variance of the means plus the mean of
# the variances, and the prior's is 1.
#
# **Predict first.** Is the variance of the *means* alone above 1, below 1, or 1?

# %% [markdown] pt
# As nuvens se sobrepõem e, juntas, cobrem a distribuição a priori. A sua média sobre todas as
# imagens é a **posterior agregada**
#
# $$q(z) = \frac 1N \sum_{n=1}^N q(z \mid x_n) .$$
#
# Se $q(z)$ é igual à distribuição a priori, uma amostra desta é tão boa quanto o código de uma
# imagem. Uma verificação útil é a variância. A variância de $q(z)$ é a variância das médias mais a
# média das variâncias, e a da distribuição a priori é 1.
#
# **Preveja antes.** A variância só das *médias* fica acima de 1, abaixo de 1 ou é 1?

# %%
of_means, of_clouds = mu.var(0), sigma.square().mean(0)
for j in range(2):
    print(f"z{j + 1}: {of_means[j]:.2f} + {of_clouds[j]:.2f} = {of_means[j] + of_clouds[j]:.2f}")
found = vaelab.evaluate(flat_run, sections="latent", quiet=True).sections["latent"]
print(t("mismatch of q(z) and p(z), at least:", "discrepância entre q(z) e p(z), no mínimo:"),
      found["prior_gap_at_least"], "nats")  # fmt: skip
print(t("share of prior samples in holes:", "fração de amostras em buracos:"), found["hole_share"])

# %% [markdown] en
# The sums are somewhat above 1: the training asks for 1 only indirectly. Often the means alone vary
# less than the prior, and the clouds fill the rest. Here the means vary more, because some clouds
# lie beyond the circles. The share of prior samples in holes would be 0.05 if $q(z)$ and $p(z)$
# were equal.
#
# ## The plane, decoded
#
# The most popular picture decodes a grid of codes. There are two grids. The **linear** grid has
# equal steps, say from $-3$ to $3$. The **quantile** grid has equal *probability*: with the inverse
# $\Phi^{-1}$ of the normal distribution function,
#
# $$z_i = \Phi^{-1}\Big(\frac{i + 1/2}{n}\Big), \qquad i = 0, \dots, n - 1 .$$
#
# **Predict first.** Which of the two shows what a *random sample* looks like, and which shows the
# edge of the map?

# %% [markdown] pt
# As somas ficam um pouco acima de 1: o treino só pede 1 indiretamente. Muitas vezes, as médias
# sozinhas variam menos que a distribuição a priori, e as nuvens completam o resto. Aqui as médias
# variam mais, porque algumas nuvens ficam além dos círculos. A fração de amostras da distribuição a
# priori em buracos seria 0,05 se $q(z)$ e $p(z)$ fossem iguais.
#
# ## O plano, decodificado
#
# A figura mais popular decodifica uma grade de códigos. Há duas grades. A **linear** tem passos
# iguais, digamos, de $-3$ a $3$. A **de quantis** tem *probabilidade* igual: com a inversa
# $\Phi^{-1}$ da função de distribuição normal,
#
# $$z_i = \Phi^{-1}\Big(\frac{i + 1/2}{n}\Big), \qquad i = 0, \dots, n - 1 .$$
#
# **Preveja antes.** Qual das duas mostra como é uma *amostra aleatória*, e qual mostra a borda do
# mapa?

# %%
n = 15
quantiles = [NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)]
axes_of = {
    t("linear, -3 to 3", "linear, de -3 a 3"): torch.linspace(-3, 3, n),
    t("quantiles", "quantis"): torch.tensor(quantiles),
}
fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.9), layout="constrained")
for ax, (name, axis) in zip(axes, axes_of.items(), strict=True):
    plane = torch.stack([axis.repeat(n), axis.flip(0).repeat_interleave(n)], 1)
    inside = (plane.norm(dim=1) < 2).float().mean()
    show(ax, flat.decode(plane), n, f"{name}: {100 * inside:.0f}% |z| < 2")
plt.show()

# %% [markdown] en
# The percentages say how many pictures lie within two standard deviations, where $1 - e^{-2} =
# 0.86$ of the prior's samples fall. The linear grid spends more than half of its pictures on places
# that are hardly ever sampled, so it shows the edges and how the decoder continues there. The
# quantile grid shows the digits in the proportions of the samples.
#
# ## Dimensions that are used, and others
#
# Now the model with 16 dimensions. Does it use all of them? The rate is a sum over dimensions, so
# each has its own rate. A dimension is called an **active unit** if its mean varies:
# $\mathrm{Var}_x(\mathbb E[z_j \mid x]) > 0.01$ (Burda, Grosse & Salakhutdinov 2016,
# arXiv:1509.00519).

# %% [markdown] pt
# As porcentagens dizem quantas figuras ficam a menos de dois desvios padrão, onde caem $1 - e^{-2}
# = 0{,}86$ das amostras da distribuição a priori. A grade linear gasta mais da metade das figuras
# em lugares que quase nunca são amostrados; por isso ela mostra as bordas e como o decodificador
# continua por lá. A grade de quantis mostra os dígitos nas proporções das amostras.
#
# ## Dimensões usadas e as outras
#
# Agora o modelo com 16 dimensões. Ele usa todas? A taxa é uma soma sobre as dimensões, de modo que
# cada uma tem a sua. Uma dimensão é chamada de **unidade ativa** se a sua média varia:
# $\mathrm{Var}_x(\mathbb E[z_j \mid x]) > 0{,}01$ (Burda, Grosse e Salakhutdinov, 2016,
# arXiv:1509.00519).

# %%
mu, sigma = posterior(deep, x_test)
rates = 0.5 * (mu**2 + sigma**2 - 1 - 2 * sigma.log()).mean(0)
activity = mu.var(0)
order = rates.argsort(descending=True)

fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.5), layout="constrained")
names = [str(j + 1) for j in order.tolist()]
left.bar(names, rates[order], color="C0")
left.set(xlabel=t("dimension", "dimensão"), ylabel=t("rate in nats", "taxa em nats"))
right.bar(names, activity[order], color="C1")
right.axhline(0.01, color="black", linestyle="--", linewidth=0.8)
right.set(xlabel=t("dimension", "dimensão"), ylabel="Var(E[z|x])", yscale="log")
plt.show()
print(t("rate:", "taxa:"), f"{rates.sum():.2f} nats,", t("active units:", "unidades ativas:"),
      f"{(activity > 0.01).sum()} / 16")  # fmt: skip

# %% [markdown] en
# Some dimensions are all but switched off: their rate is close to 0, and their cloud is nearly the
# prior whatever the image. The VAE found out by itself which dimensions are worth their price.
#
# The threshold 0.01 is a convention. A dimension just above it counts as active and still says
# almost nothing. So report the rates, too. Whether the decoder reads a dimension is a matter of
# experiment: replace one dimension of the codes by noise from the prior, and see how much the
# distortion rises.

# %% [markdown] pt
# Algumas dimensões estão praticamente desligadas: a sua taxa é quase 0, e a sua nuvem é quase a
# distribuição a priori seja qual for a imagem. O VAE descobriu sozinho quais dimensões valem o
# preço.
#
# O limiar 0,01 é uma convenção. Uma dimensão logo acima dele conta como ativa e ainda assim não diz
# quase nada. Por isso, informe também as taxas. Se o decodificador lê uma dimensão, só um
# experimento diz: troque uma dimensão dos códigos por ruído da distribuição a priori e veja quanto
# a distorção aumenta.


# %%
@torch.no_grad()
def distortion(z):
    """The distortion of each test image from one code each, (N,)."""
    return -deep.decoder(z).log_prob(x_test)


torch.manual_seed(0)
z = mu + sigma * torch.randn_like(mu)
before = distortion(z)
for rank in (0, 3, 8, 12, 15):
    j = order[rank]
    noisy = z.clone()
    noisy[:, j] = torch.randn(len(z))
    rise = distortion(noisy) - before
    error = rise.std() / len(rise) ** 0.5
    print(f"z{j + 1:<3}", t("rate", "taxa"), f"{rates[j]:.3f}  ", t("distortion", "distorção"),
          f"{rise.mean():+6.2f} ± {error:.2f}")  # fmt: skip

# %% [markdown] en
# The rise follows the rate: noise in the first dimension costs more than eleven nats, and noise in
# the last one costs nothing that we could measure.
#
# ## Traversals
#
# A **traversal** changes one dimension and keeps the others at the code of an image. Each row is a
# dimension, from the most informative to the least.

# %% [markdown] pt
# O aumento acompanha a taxa: ruído na primeira dimensão custa mais de onze nats, e ruído na última
# não custa nada que se possa medir.
#
# ## Percursos
#
# Um **percurso** muda uma dimensão e mantém as outras no código de uma imagem. Cada linha é uma
# dimensão, da mais informativa até a menos informativa.

# %%
base = mu[(y_test == 3).nonzero()[0][0]]
steps = torch.linspace(-3, 3, 13)
rows = [0, 1, 2, 3, 15]
fig, axes = plt.subplots(len(rows), figsize=(5.5, 2.9), layout="constrained")
for ax, rank in zip(axes, rows, strict=True):
    j = order[rank]
    z = base.repeat(len(steps), 1)
    z[:, j] = steps
    show(ax, deep.decode(z), len(steps), f"z{j + 1}: {rates[j]:.2f} nats")
plt.show()

# %% [markdown] en
# The last row hardly changes: the decoder does not read that dimension. The others change the digit
# itself and its shape at once. One dimension does not stand for one property here, and nothing in
# the loss asks for that. [Lesson 4](4-beta.ipynb) does.
#
# **Caution.** A traversal starts at *one* image. Another image, another picture: look at several
# before you give a dimension a name. And at $\pm 3$ you leave the region of the codes.
#
# ## Interpolation: straight or round?
#
# Between two codes $a$ and $b$ there is the straight line, $(1 - s) a + s b$. Some papers use
# **spherical** interpolation instead: with the angle $\omega$ between $a$ and $b$,
#
# $$\mathrm{slerp}(a, b, s) = \frac{\sin((1-s) \omega) a + \sin(s \omega) b}{\sin \omega}$$
#
# The reason is a fact about high dimensions. The squared length of a sample of $\mathcal N(0, I)$
# is a sum of $L$ squares, so the length is close to $\sqrt L$: the samples lie in a shell. The
# middle of a straight line between two of them has length $\sqrt{L / 2}$, which is inside the
# shell, where samples are rare.

# %% [markdown] pt
# A última linha quase não muda: o decodificador não lê aquela dimensão. As outras mudam ao mesmo
# tempo o próprio dígito e a sua forma. Aqui uma dimensão não representa uma propriedade, e nada na
# perda pede isso. A [lição 4](4-beta.ipynb) pede.
#
# **Cuidado.** Um percurso parte de *uma* imagem. Outra imagem, outra figura: olhe várias antes de
# dar um nome a uma dimensão. E em $\pm 3$ você sai da região dos códigos.
#
# ## Interpolação: em linha reta ou em arco?
#
# Entre dois códigos $a$ e $b$ há a linha reta, $(1 - s) a + s b$. Alguns artigos usam a
# interpolação **esférica**: com o ângulo $\omega$ entre $a$ e $b$,
#
# $$\mathrm{slerp}(a, b, s) = \frac{\sin((1-s) \omega) a + \sin(s \omega) b}{\sin \omega}$$
#
# A razão é um fato sobre dimensões altas. O quadrado do comprimento de uma amostra de $\mathcal
# N(0, I)$ é uma soma de $L$ quadrados; logo, o comprimento fica perto de $\sqrt L$: as amostras
# ficam em uma casca. O meio da linha reta entre duas delas tem comprimento $\sqrt{L / 2}$, dentro
# da casca, onde há poucas amostras.


# %%
def slerp(a, b, s):
    """Codes (S, L) on the arc from a (L,) to b (L,) at the fractions s (S,)."""
    angle = torch.acos(torch.cosine_similarity(a, b, dim=0))
    s = s[:, None]
    return (torch.sin((1 - s) * angle) * a + torch.sin(s * angle) * b) / torch.sin(angle)


torch.manual_seed(2)
samples = torch.randn(5000, 16)
lengths = {
    t("samples of the prior", "amostras de p(z)"): samples,
    t("middles of two samples", "meios de duas amostras"): (samples[::2] + samples[1::2]) / 2,
    t("means of test images", "médias das imagens"): mu,
    t("samples of q(z|x)", "amostras de q(z|x)"): mu + sigma * torch.randn_like(mu),
}
fig, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
for name, z in lengths.items():
    ax.hist(z.norm(dim=1), bins=40, density=True, histtype="step", linewidth=1.5, label=name)
ax.set(xlabel="|z|", yticks=[])
ax.legend(frameon=False)
plt.show()

s = torch.linspace(0, 1, 13)
ends = [mu[(y_test == digit).nonzero()[0][4]] for digit in (6, 7)]
fig, axes = plt.subplots(2, figsize=(5.5, 1.6), layout="constrained")
show(axes[0], deep.decode(torch.lerp(*ends, s[:, None])), 13, t("straight", "linha reta"))
show(axes[1], deep.decode(slerp(*ends, s)), 13, t("round", "arco"))
plt.show()

# %% [markdown] en
# Look at the third curve. The *means* of images, between which one usually interpolates, are
# shorter than samples of the prior, because a mean is close to 0 in every dimension that says
# little. So the argument for the sphere concerns samples of the prior, and not means. For means the
# two paths hardly differ here. vaelab uses the straight line where the latent space is flat, and
# the arc where it is a sphere (`model.variant hyperspherical`).
#
# ## Pictures of more than two dimensions
#
# To plot 16 dimensions, one has to give up 14. **PCA** keeps the two directions of the largest
# variance. **t-SNE** (van der Maaten & Hinton 2008) places the points so that neighbours stay
# neighbours, and gives up everything else.
#
# The third panel is a trap: it shows the t-SNE of *random numbers* from $\mathcal N(0, I)$, with a
# small perplexity (the number of neighbours that count).

# %% [markdown] pt
# Olhe a terceira curva. As *médias* das imagens, entre as quais se costuma interpolar, são mais
# curtas que as amostras da distribuição a priori, porque uma média é quase 0 em toda dimensão que
# diz pouco. O argumento a favor da esfera vale, portanto, para amostras da distribuição a priori, e
# não para médias. Para médias, os dois caminhos quase não diferem aqui. O vaelab usa a linha reta
# onde o espaço latente é plano e o arco onde ele é uma esfera (`model.variant hyperspherical`).
#
# ## Figuras de mais de duas dimensões
#
# Para desenhar 16 dimensões, é preciso abrir mão de 14. A **PCA** guarda as duas direções de maior
# variância. O **t-SNE** (van der Maaten e Hinton, 2008) posiciona os pontos de modo que vizinhos
# continuem vizinhos e descarta todo o resto.
#
# O terceiro painel é uma armadilha: mostra o t-SNE de *números aleatórios* de $\mathcal N(0, I)$,
# com uma perplexidade pequena (o número de vizinhos que contam).

# %%
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

pca = PCA(2).fit(mu)
noise = torch.randn(300, 16).numpy()
panels = {
    f"PCA ({100 * pca.explained_variance_ratio_.sum():.0f}%)": (pca.transform(mu), y_test),
    "t-SNE": (TSNE(random_state=0).fit_transform(mu.numpy()), y_test),
    t("t-SNE of noise", "t-SNE de ruído"): (
        TSNE(perplexity=4, random_state=0).fit_transform(noise),
        None,
    ),
}
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.7), layout="constrained")
for ax, (name, (points, labels)) in zip(axes, panels.items(), strict=True):
    ax.scatter(*points.T, c="0.4" if labels is None else colours[labels], s=5, linewidths=0)
    ax.set(title=name, xticks=[], yticks=[])
plt.show()

# %% [markdown] en
# - The percentage of PCA is the share of the variance that the plane shows. What seems to overlap
#   may be apart in the other directions.
# - In t-SNE, neither the size of a group nor the distance between groups means anything, and groups
#   may appear where there are none, as in the third panel. It answers one question only: who are
#   the neighbours?
#
# ## Probes
#
# Do the codes know the digit? Instead of judging by eye, train a classifier on them, a **probe**. A
# linear probe measures whether planes separate the classes; nearest neighbours measure whether
# classes lie together at all. The classifier of the pixels is the yardstick.

# %% [markdown] pt
# - A porcentagem da PCA é a fração da variância que o plano mostra. O que parece se sobrepor pode
#   estar separado nas outras direções.
# - No t-SNE, nem o tamanho de um grupo nem a distância entre grupos significa alguma coisa, e
#   grupos podem aparecer onde não há nenhum, como no terceiro painel. Ele responde a uma única
#   pergunta: quem são os vizinhos?
#
# ## Sondas
#
# Os códigos sabem qual é o dígito? Em vez de julgar a olho, treine neles um classificador, uma
# **sonda**. Uma sonda linear mede se planos separam as classes; os vizinhos mais próximos medem se
# as classes ficam juntas. O classificador dos pixels é a referência.

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier


def accuracy(classifier, train, test):
    """The accuracy on the test images, with its standard error."""
    right = classifier.fit(train, y_train).score(test, y_test)
    return f"{100 * right:4.1f} ± {100 * (right * (1 - right) / len(y_test)) ** 0.5:.1f}%"


spaces = {
    t("2 dimensions", "2 dimensões"): (flat.encode(x_train), flat.encode(x_test)),
    t("16 dimensions", "16 dimensões"): (deep.encode(x_train), mu),
    "pixels": (x_train.flatten(1), x_test.flatten(1)),
}
linear = LogisticRegression(max_iter=500)
for name, (train, test) in spaces.items():
    print(name)
    print("  ", t("linear probe", "sonda linear"), accuracy(linear, train, test))
    print("  ", t("15 neighbours", "15 vizinhos"), accuracy(KNeighborsClassifier(15), train, test))

# %% [markdown] en
# Two dimensions keep part of what distinguishes the digits. Sixteen keep most of it, although the
# labels were never used in the training. A high accuracy does not mean that samples are good, and a
# low one does not mean that the VAE failed: it was never asked to separate classes.
#
# ## The explorer
#
# `explore` puts the encoder and the decoder into the cell. They run in your browser. Try this:
#
# 1. Drag the point through the plane from a 0 to a 1. Where do you cross another digit?
# 2. Choose a test image on the plane, and look at its cloud. Which images have wide clouds?
# 3. Draw a digit yourself. Draw a letter. Where do they land, and what do they cost in nats?

# %% [markdown] pt
# Duas dimensões guardam parte do que distingue os dígitos. Dezesseis guardam a maior parte, embora
# os rótulos nunca tenham sido usados no treino. Uma acurácia alta não quer dizer que as amostras
# sejam boas, e uma baixa não quer dizer que o VAE falhou: ninguém pediu que ele separasse classes.
#
# ## O explorador
#
# `explore` põe o codificador e o decodificador na célula. Eles rodam no seu navegador. Experimente:
#
# 1. Arraste o ponto pelo plano de um 0 até um 1. Onde você passa por outro dígito?
# 2. Escolha uma imagem de teste no plano e olhe a sua nuvem. Quais imagens têm nuvens largas?
# 3. Desenhe um dígito. Desenhe uma letra. Onde eles caem e quanto custam em nats?

# %%
flat_run.explore(lang=LANG)

# %% [markdown] en
# ## The doctor
#
# Reading a latent space is also a way of finding out what went wrong. vaelab's doctor checks a run
# against a list of known problems, and says what it would try.

# %% [markdown] pt
# ## O diagnóstico
#
# Ler um espaço latente também serve para descobrir o que deu errado. O diagnóstico do vaelab
# confere uma execução com uma lista de problemas conhecidos e diz o que tentaria.

# %%
from vaelab.evaluation.doctor import report

print(report(vaelab.diagnose(wide_run), wide_run.folder, LANG))

# %% [markdown] en
# A remark is not a verdict. Each names its evidence and an experiment; whether the experiment helps
# is for you to measure.
#
# ## On MNIST
#
# Change one line of the settings and run everything again:
#
# ```py
# "data.source": "mnist",
# ```
#
# With `"train.epochs": 10` in both settings, the notebook takes several minutes on two cores, most
# of it for t-SNE and for the linear probe of the pixels. Expect a loss near 154 nats with two
# dimensions and near 94 with 16. All 16 are in use then, with a rate of 25 nats together, and the
# linear probe finds about 60% of the digits in two dimensions and nearly 90% in 16.
#
# ## Exercises
#
# **1. Swap a dimension.** Take the codes of two test images, and exchange the value of the most
# informative dimension. Decode. What moved over, and why is the answer "a bit of everything"?

# %% [markdown] pt
# Uma observação não é um veredito. Cada uma indica a sua evidência e um experimento; se o
# experimento ajuda, cabe a você medir.
#
# ## No MNIST
#
# Troque uma linha das configurações e rode tudo de novo:
#
# ```py
# "data.source": "mnist",
# ```
#
# Com `"train.epochs": 10` nas duas configurações, o notebook leva vários minutos em dois núcleos, a
# maior parte no t-SNE e na sonda linear dos pixels. Espere uma perda perto de 154 nats com duas
# dimensões e perto de 94 com 16. Todas as 16 estarão em uso, com uma taxa de 25 nats no total, e a
# sonda linear acertará cerca de 60% dos dígitos com duas dimensões e quase 90% com 16.
#
# ## Exercícios
#
# **1. Troque uma dimensão.** Tome os códigos de duas imagens de teste e troque entre eles o valor
# da dimensão mais informativa. Decodifique. O que passou de uma para a outra, e por que a resposta
# é "um pouco de tudo"?

# %% solution
pair = mu[[(y_test == digit).nonzero()[0][1] for digit in (3, 4)]]
swapped = pair.clone()
swapped[:, order[0]] = pair.flip(0)[:, order[0]]
fig, ax = plt.subplots(figsize=(3, 1))
show(ax, deep.decode(torch.cat([pair, swapped])), 4, t("before, after", "antes, depois"))
plt.show()

# %% [markdown] en
# <details markdown="1"><summary>Discussion</summary>
#
# The prior $\mathcal N(0, I)$ looks the same from all directions. If all codes are rotated and the
# decoder undoes it, neither the prior nor the distortion notices; only the diagonal form of $q$
# prefers some axes to others. So an axis has no meaning of its own.
#
# </details>
#
# **2. Lengths.** Show that slerp keeps the length of two codes of equal length. Why does it fail if
# $b = -a$?

# %% [markdown] pt
# <details markdown="1"><summary>Discussão</summary>
#
# A distribuição a priori $\mathcal N(0, I)$ é igual em todas as direções. Se todos os códigos são
# girados e o decodificador desfaz o giro, nem a distribuição a priori nem a distorção percebem; só
# a forma diagonal de $q$ prefere uns eixos a outros. Um eixo, portanto, não tem significado
# próprio.
#
# </details>
#
# **2. Comprimentos.** Mostre que slerp mantém o comprimento entre dois códigos de mesmo
# comprimento. Por que ela falha se $b = -a$?

# %% [markdown] en
# <details markdown="1"><summary>Solution</summary>
#
# Let $|a| = |b| = r$, so $a \cdot b = r^2 \cos \omega$. With $u = (1 - s) \omega$ and $v = s
# \omega$, the squared length is $r^2 (\sin^2 u + \sin^2 v + 2 \sin u \sin v \cos \omega) / \sin^2
# \omega$. Because $\omega = u + v$, we have $\cos \omega = \cos u \cos v - \sin u \sin v$, and the
# bracket becomes $(\sin u \cos v + \cos u \sin v)^2 = \sin^2 \omega$. So the length is $r$. If $b =
# -a$, then $\omega = \pi$ and the formula divides by 0: infinitely many arcs of the same length
# lead to the opposite point.
#
# </details>
#
# **3. A probe that cheats?** Shuffle the training labels, and train the linear probe again, twenty
# times. What accuracy do you expect? Why is this a good test of any probe?

# %% [markdown] pt
# <details markdown="1"><summary>Solução</summary>
#
# Sejam $|a| = |b| = r$, de modo que $a \cdot b = r^2 \cos \omega$. Com $u = (1 - s) \omega$ e $v =
# s \omega$, o quadrado do comprimento é $r^2 (\sin^2 u + \sin^2 v + 2 \sin u \sin v \cos \omega) /
# \sin^2 \omega$. Como $\omega = u + v$, temos $\cos \omega = \cos u \cos v - \sin u \sin v$, e o
# parêntese vira $(\sin u \cos v + \cos u \sin v)^2 = \sin^2 \omega$. O comprimento é, portanto,
# $r$. Se $b = -a$, então $\omega = \pi$ e a fórmula divide por 0: infinitos arcos de mesmo
# comprimento levam ao ponto oposto.
#
# </details>
#
# **3. Uma sonda que trapaceia?** Embaralhe os rótulos de treino e treine a sonda linear de novo,
# vinte vezes. Que acurácia você espera? Por que esse é um bom teste de qualquer sonda?

# %% solution
rng, z = np.random.default_rng(0), deep.encode(x_train)
found = np.array([linear.fit(z, rng.permutation(y_train)).score(mu, y_test) for _ in range(20)])
print(f"{100 * found.mean():.1f} ± {100 * found.std() / 20**0.5:.1f}%, one: {100 * found[0]:.1f}%")

# %% [markdown] en
# <details markdown="1"><summary>Discussion</summary>
#
# About 10% on average, as by guessing. A single shuffle can be further off than the standard error
# of 1.3% for independent guesses, because similar images get the same answer and are right or wrong
# together. If the average were much higher, the probe would read something other than the labels,
# for instance because test images are among those it was trained on.
#
# </details>
#
# **4. The average digit.** Decode the middle between the codes of two test images, and compare it
# with the middle of their *pixels*. Which of the two has more grey pixels, on average over many
# pairs?

# %% [markdown] pt
# <details markdown="1"><summary>Discussão</summary>
#
# Cerca de 10% em média, como em um palpite. Um único embaralhamento pode se afastar mais do que o
# erro padrão de 1,3% de palpites independentes, porque imagens parecidas recebem a mesma resposta e
# acertam ou erram juntas. Se a média fosse bem maior, a sonda leria outra coisa que não os rótulos,
# por exemplo porque imagens de teste estão entre aquelas em que ela foi treinada.
#
# </details>
#
# **4. O dígito médio.** Decodifique o meio entre os códigos de duas imagens de teste e compare com
# o meio dos seus *pixels*. Qual dos dois tem mais pixels cinzentos, em média sobre muitos pares?

# %% solution
pairs = [[(y_test == digit).nonzero()[0][1] for digit in two] for two in ((5, 9), (2, 3), (3, 8))]
rows = [
    torch.cat(
        [x_test[[i, j]], deep.decode((mu[i] + mu[j])[None] / 2), (x_test[[i, j]]).mean(0)[None]]
    )
    for i, j in pairs
]
fig, ax = plt.subplots(figsize=(3, 2.4))
show(ax, torch.cat(rows), 4)
plt.show()

a, b = torch.randperm(len(mu))[:500].reshape(2, -1)
middles = {
    t("middle of the codes ", "meio dos códigos "): deep.decode((mu[a] + mu[b]) / 2),
    t("middle of the pixels", "meio dos pixels  "): (x_test[a] + x_test[b]) / 2,
}
for name, images in middles.items():
    grey = ((images > 0.25) & (images < 0.75)).float().mean((1, 2))
    error = grey.std() / len(grey) ** 0.5
    print(f"{name} {t('grey', 'cinza')}: {100 * grey.mean():.1f} ± {100 * error:.1f}%")

# %% [markdown] en
# <details markdown="1"><summary>Discussion</summary>
#
# Each row shows two images, the decoded middle of their codes, and the middle of their pixels. The
# last is a double exposure, grey wherever the two differ. The decoded middle is closer to one
# drawing, though the decoder, too, hesitates between two digits. Averages of codes are not averages
# of pixels, and this is what a latent space is for.
#
# </details>
#
# **Next:** [beta and disentangling](4-beta.ipynb).

# %% [markdown] pt
# <details markdown="1"><summary>Discussão</summary>
#
# Cada linha mostra duas imagens, o meio decodificado dos seus códigos e o meio dos seus pixels. O
# último é uma dupla exposição, cinza onde as duas diferem. O meio decodificado está mais perto de
# um desenho só, embora também o decodificador hesite entre dois dígitos. Médias de códigos não são
# médias de pixels, e é para isso que serve um espaço latente.
#
# </details>
#
# **A seguir:** [beta e desemaranhamento](4-beta.ipynb).
