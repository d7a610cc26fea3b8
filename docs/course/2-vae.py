# %% [markdown] en
# # 2. The VAE, with the ELBO derived
#
# The autoencoder of [lesson 1](1-autoencoder.ipynb) leaves holes, because nothing in its loss says
# where the codes should lie. The variational autoencoder (VAE) starts from a different question:
# *how probable are the data?* The answer leads, in a few steps of algebra, to a loss that fills the
# space of the codes.
#
# In this lesson you derive that loss, check every formula with numbers, and compare the result with
# the autoencoder. You need expectations and the rules of logarithms. All logarithms are natural, so
# the unit is the nat.

# %% [markdown] pt
# # 2. O VAE, com a dedução do ELBO
#
# O autoencoder da [lição 1](1-autoencoder.ipynb) deixa buracos, porque nada na sua perda diz onde
# os códigos devem ficar. O autoencoder variacional (VAE) parte de outra pergunta: *quão prováveis
# são os dados?* A resposta leva, em poucos passos de álgebra, a uma perda que preenche o espaço dos
# códigos.
#
# Nesta lição você deduz essa perda, confere cada fórmula com números e compara o resultado com o
# autoencoder. Você precisa de esperanças e das regras dos logaritmos. Todos os logaritmos são
# naturais, de modo que a unidade é o nat.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn import functional as F

import vaelab
from vaelab.data import load
from vaelab.plots import COLOURS

LANG = "en"
plt.rcParams.update({"figure.dpi": 110, "font.size": 9})


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


# %% [markdown] en
# ## Black and white pixels
#
# Probabilities need events. A grey pixel is not one, but a pixel that is either ink (1) or paper
# (0) is. So this lesson *binarises* the images: a pixel counts as ink from half of the full grey
# level on.

# %% [markdown] pt
# ## Pixels pretos e brancos
#
# Probabilidades precisam de eventos. Um pixel cinzento não é um evento, mas um pixel que é tinta
# (1) ou papel (0) é. Por isso esta lição *binariza* as imagens: um pixel conta como tinta a partir
# da metade do nível máximo de cinza.

# %%
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
recipe = vaelab.recipe("quickstart", settings)
digits = load(recipe.data)
ink = digits.levels - 1  # the pixel value of full ink, here 16
x_train, x_test = ((split.x / ink >= 0.5).float() for split in (digits.train, digits.test))
y_train, y_test = digits.train.y, digits.test.y

fig, ax = plt.subplots(figsize=(7, 0.8))
show(ax, torch.cat([x_train[y_train == digit][:2] for digit in range(10)]), 20)
plt.show()

# %% [markdown] en
# ## A model with a hidden cause
#
# The model tells a story about how an image comes to be:
#
# 1. A code $z$ of two numbers is drawn from the standard normal distribution, the **prior** $p(z) =
#    \mathcal N(z; 0, I)$.
# 2. A network, the **decoder**, turns $z$ into 64 probabilities $\hat x_i(z)$ of ink.
# 3. Each pixel is drawn with its probability: $x_i = 1$ with probability $\hat x_i(z)$, otherwise
#    0.
#
# Steps 2 and 3 are the **likelihood** of the image given its code,
#
# $$p(x \mid z) = \prod_{i=1}^{64} \hat x_i(z)^{x_i}  (1 - \hat x_i(z))^{1 - x_i} .$$
#
# Take $-\log$ of it, and you get the cross-entropy of lesson 1. For binary pixels it *is* a
# negative log probability.
#
# The rule for choosing codes comes first here, before any training. That was the first thing the
# autoencoder lacked.
#
# We train such a model right away and derive the loss afterwards, so that every formula can be
# tried out.

# %% [markdown] pt
# ## Um modelo com uma causa oculta
#
# O modelo conta uma história sobre como uma imagem surge:
#
# 1. Um código $z$ de dois números é sorteado segundo a distribuição normal padrão, a **distribuição
#    a priori** $p(z) = \mathcal N(z; 0, I)$.
# 2. Uma rede, o **decodificador**, transforma $z$ em 64 probabilidades $\hat x_i(z)$ de tinta.
# 3. Cada pixel é sorteado com a sua probabilidade: $x_i = 1$ com probabilidade $\hat x_i(z)$, senão
#    0.
#
# Os passos 2 e 3 são a **verossimilhança** da imagem dado o seu código,
#
# $$p(x \mid z) = \prod_{i=1}^{64} \hat x_i(z)^{x_i}  (1 - \hat x_i(z))^{1 - x_i} .$$
#
# Tome $-\log$ dela e você obtém a entropia cruzada da lição 1. Para pixels binários, ela *é* o
# logaritmo de uma probabilidade, com o sinal trocado.
#
# A regra para escolher códigos vem aqui em primeiro lugar, antes de qualquer treino. Era a primeira
# coisa que faltava ao autoencoder.
#
# Treinamos um modelo assim já agora e deduzimos a perda depois, para que cada fórmula possa ser
# experimentada.

# %% live
run = vaelab.train(recipe, "runs/vae", overwrite=True)

# %%
vae = run.vae
for parameter in vae.parameters():
    parameter.requires_grad_(False)
run

# %% [markdown] en
# ## What we would like to maximise
#
# A good model gives the images of the data a high probability. The probability of an image is a sum
# over all codes that could have caused it:
#
# $$p(x) = \int p(x \mid z) p(z)  dz .$$
#
# This is the **marginal likelihood**. With two latent dimensions we can simply compute it: cut the
# plane into small squares, evaluate the integrand in the middle of each, and add up.

# %% [markdown] pt
# ## O que gostaríamos de maximizar
#
# Um bom modelo dá uma probabilidade alta às imagens dos dados. A probabilidade de uma imagem é a
# soma sobre todos os códigos que poderiam tê-la causado:
#
# $$p(x) = \int p(x \mid z) p(z)  dz .$$
#
# Essa é a **verossimilhança marginal**. Com duas dimensões latentes podemos simplesmente
# calculá-la: corte o plano em quadradinhos, avalie o integrando no meio de cada um e some.

# %%
SIDE, CELLS = 5.0, 200  # the square from -5 to 5, and cells along each side
middles = (torch.arange(CELLS) + 0.5) / CELLS * 2 * SIDE - SIDE
plane = torch.cartesian_prod(middles, middles)  # (cells, 2)
log_area = 2 * math.log(2 * SIDE / CELLS)


def log_prior(z):
    """log N(z; 0, I) of codes (..., 2)."""
    return -0.5 * z.square().sum(-1) - math.log(2 * math.pi)


def log_likelihood(x, z):
    """log p(x|z) of images x (..., H, W) and codes z (..., 2)."""
    logits = vae.decoder.network(z.reshape(-1, 2)).reshape(*z.shape[:-1], *x.shape[-2:])
    return (x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)).sum((-2, -1))


def log_joint(x):
    """log p(x|z) + log p(z) of one image at all cells, (cells,)."""
    return log_likelihood(x, plane) + log_prior(plane)


def log_marginal(x):
    return torch.logsumexp(log_joint(x) + log_area, 0)


x = x_test[3]
print(f"log p(x) = {log_marginal(x):.4f}")

# %% [markdown] en
# Which codes explain this image? Bayes' rule answers with the **posterior**
#
# $$p(z \mid x) = \frac{p(x \mid z) p(z)}{p(x)} .$$
#
# **Predict first.** Will the posterior of an image be as wide as the prior, or a small spot in it?

# %% [markdown] pt
# Quais códigos explicam essa imagem? A regra de Bayes responde com a **distribuição a posteriori**,
# ou **posterior**,
#
# $$p(z \mid x) = \frac{p(x \mid z) p(z)}{p(x)} .$$
#
# **Preveja antes.** A posterior de uma imagem será tão larga quanto a distribuição a priori, ou uma
# pequena mancha nela?

# %%
some = [3, 12, 4, 27]
fig, axes = plt.subplots(2, 4, figsize=(7.5, 2.9), height_ratios=[1, 2.4], layout="constrained")
for i, (above, below) in zip(some, axes.T, strict=True):
    show(above, x_test[i : i + 1], 1)
    posterior = (log_joint(x_test[i]) - log_marginal(x_test[i])).exp()
    density = posterior.reshape(CELLS, CELLS).T
    below.contourf(middles, middles, density, levels=8, cmap="Blues")
    for radius in (1, 2):
        below.add_patch(plt.Circle((0, 0), radius, fill=False, linestyle="--", linewidth=0.7))
    below.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
plt.show()

# %% [markdown] en
# The posterior (blue) is a small spot inside the prior, whose one and two standard deviations are
# dashed. Sometimes it has an odd shape.
#
# ## Why not just compute it?
#
# Our grid has $200^2 = 40{,}000$ cells. With 20 latent dimensions, which MNIST needs, it would have
# $200^{20} \approx 10^{46}$. That is what **intractable** means here: the integral exists, but
# nobody can add it up.
#
# What about sampling? $p(x)$ is an expectation over the prior, so $N$ samples $z_n$ of the prior
# estimate it:
#
# $$p(x) \approx \frac 1N \sum_{n=1}^N p(x \mid z_n) .$$

# %% [markdown] pt
# A posterior (azul) é uma pequena mancha dentro da distribuição a priori, cujos um e dois desvios
# padrão estão tracejados. Às vezes ela tem uma forma estranha.
#
# ## Por que não calcular diretamente?
#
# Nossa grade tem $200^2 = 40.000$ células. Com 20 dimensões latentes, de que o MNIST precisa, ela
# teria $200^{20} \approx 10^{46}$. É isso que **intratável** quer dizer aqui: a integral existe,
# mas ninguém consegue somá-la.
#
# E por amostragem? $p(x)$ é uma esperança sob a distribuição a priori; logo, $N$ amostras $z_n$
# dela a estimam:
#
# $$p(x) \approx \frac 1N \sum_{n=1}^N p(x \mid z_n) .$$

# %%
torch.manual_seed(0)
print(t("exact:", "exato:"), f"{log_marginal(x):.2f}")
for n in (10, 100, 1000, 10_000):
    estimates = torch.stack(
        [torch.logsumexp(log_likelihood(x, torch.randn(n, 2)), 0) - math.log(n) for _ in range(20)]
    )
    print(f"N = {n:6d}: {estimates.mean():7.2f}, ", t("from", "de"), f"{estimates.min():.2f}",
          t("to", "a"), f"{estimates.max():.2f}")  # fmt: skip

# %% [markdown] en
# With few samples the estimate scatters by several nats and is too low on average, because most
# samples of the prior miss the spot and explain nothing. In two dimensions ten thousand samples are
# enough. In twenty, the spot is a vanishing part of the space, and no affordable number of samples
# is enough.
#
# The cure: sample where the spot is.
#
# ## The bound, step by step
#
# Let $q(z \mid x)$ be *any* distribution that we can sample and whose density we know. A network,
# the **encoder**, will compute it from $x$: a normal distribution with mean $\mu(x)$ and standard
# deviations $\sigma(x)$.
#
# **Step 1: insert $q$.** Multiply and divide by it. The integral becomes an expectation over $q$:
#
# $$\log p(x) = \log \int q(z \mid x) \frac{p(x \mid z) p(z)}{q(z \mid x)}  dz
#   = \log \mathbb E_{q} \left[ \frac{p(x \mid z) p(z)}{q(z \mid x)} \right] .$$
#
# **Step 2: move the logarithm inside.** The logarithm is concave: the log of a mean is at least the
# mean of the logs. This is Jensen's inequality.
#
# $$\log p(x)  \ge  \mathbb E_{q} \left[ \log \frac{p(x \mid z) p(z)}{q(z \mid x)} \right]
#    =:  \mathrm{ELBO}(x) .$$
#
# ELBO stands for *evidence lower bound*; evidence is another name for $p(x)$.
#
# **Step 3: split it.** The logarithm of the product is a sum:
#
# $$-\mathrm{ELBO}(x) = \underbrace{\mathbb E_{q} \big[ -\log p(x \mid z) \big]}_{\text{distortion}}
#   + \underbrace{\mathbb E_{q} \left[ \log \frac{q(z \mid x)}{p(z)} \right]}_{\text{rate}} .$$
#
# The **distortion** is the cross-entropy of the reconstruction, as in lesson 1, on average over a
# cloud of codes. The **rate** is new. It is the Kullback–Leibler divergence of the cloud from the
# prior, $\mathrm{KL}(q(z \mid x) \Vert p(z))$, and it is what holds the codes together.
#
# The loss of a VAE is $-\mathrm{ELBO}$, averaged over the images. Kingma & Welling (2013,
# arXiv:1312.6114) and Rezende, Mohamed & Wierstra (2014, arXiv:1401.4082) introduced it.

# %% [markdown] pt
# Com poucas amostras, a estimativa varia em vários nats e é baixa demais em média, porque a maioria
# das amostras da distribuição a priori erra a mancha e não explica nada. Em duas dimensões, dez mil
# amostras bastam. Em vinte, a mancha é uma parte ínfima do espaço, e nenhum número viável de
# amostras basta.
#
# O remédio: amostrar onde está a mancha.
#
# ## O limite, passo a passo
#
# Seja $q(z \mid x)$ *qualquer* distribuição que saibamos amostrar e cuja densidade conheçamos. Uma
# rede, o **codificador**, vai calculá-la a partir de $x$: uma distribuição normal com média
# $\mu(x)$ e desvios padrão $\sigma(x)$.
#
# **Passo 1: inserir $q$.** Multiplique e divida por ela. A integral vira uma esperança sob $q$:
#
# $$\log p(x) = \log \int q(z \mid x) \frac{p(x \mid z) p(z)}{q(z \mid x)}  dz
#   = \log \mathbb E_{q} \left[ \frac{p(x \mid z) p(z)}{q(z \mid x)} \right] .$$
#
# **Passo 2: levar o logaritmo para dentro.** O logaritmo é côncavo: o logaritmo de uma média é pelo
# menos a média dos logaritmos. Essa é a desigualdade de Jensen.
#
# $$\log p(x)  \ge  \mathbb E_{q} \left[ \log \frac{p(x \mid z) p(z)}{q(z \mid x)} \right]
#    =:  \mathrm{ELBO}(x) .$$
#
# ELBO vem de *evidence lower bound*, limite inferior da evidência; evidência é outro nome de
# $p(x)$.
#
# **Passo 3: separar.** O logaritmo do produto é uma soma:
#
# $$-\mathrm{ELBO}(x) = \underbrace{\mathbb E_{q} \big[ -\log p(x \mid z) \big]}_{\text{distorção}}
#   + \underbrace{\mathbb E_{q} \left[ \log \frac{q(z \mid x)}{p(z)} \right]}_{\text{taxa}} .$$
#
# A **distorção** é a entropia cruzada da reconstrução, como na lição 1, em média sobre uma nuvem de
# códigos. A **taxa** é nova. É a divergência de Kullback–Leibler entre a nuvem e a distribuição a
# priori, $\mathrm{KL}(q(z \mid x) \Vert p(z))$, e é o que mantém os códigos juntos.
#
# A perda de um VAE é $-\mathrm{ELBO}$, em média sobre as imagens. Foi introduzida por Kingma e
# Welling (2013, arXiv:1312.6114) e por Rezende, Mohamed e Wierstra (2014, arXiv:1401.4082).

# %% [markdown] en
# ## How large is the gap?
#
# A bound is useful only as far as it is tight. Its distance from $\log p(x)$ is the divergence of
# $q$ from the true posterior,
#
# $$\log p(x) - \mathrm{ELBO}(x) = \mathrm{KL}\big(q(z \mid x) \Vert p(z \mid x)\big) .$$
#
# You prove this in exercise 1; here we check it. On our grid all three quantities are sums.

# %% [markdown] pt
# ## De que tamanho é a folga?
#
# Um limite só é útil na medida em que é justo. A sua distância até $\log p(x)$ é a divergência
# entre $q$ e a posterior verdadeira,
#
# $$\log p(x) - \mathrm{ELBO}(x) = \mathrm{KL}\big(q(z \mid x) \Vert p(z \mid x)\big) .$$
#
# Você vai provar isso no exercício 1; aqui conferimos. Na nossa grade, as três quantidades são
# somas.


# %%
def log_normal(z, mu, sigma):
    """log N(z; mu, diag(sigma^2))."""
    return (-0.5 * ((z - mu) / sigma).square() - sigma.log()).sum(-1) - math.log(2 * math.pi)


def encode(x):
    """Mean and standard deviations of q(z|x) for images (N, H, W)."""
    normal = vae.encoder(x).base_dist
    return normal.loc, normal.scale


def gap_and_bound(x):
    """KL(q || posterior) and the ELBO of one image, by sums over the grid."""
    mu, sigma = encode(x[None])
    log_q = log_normal(plane, mu, sigma)
    weight = (log_q + log_area).exp()
    log_posterior = log_joint(x) - log_marginal(x)
    return (weight * (log_q - log_posterior)).sum(), (weight * (log_joint(x) - log_q)).sum()


for i in some:
    gap, elbo = gap_and_bound(x_test[i])
    print(f"log p(x) = {log_marginal(x_test[i]):8.4f}   ELBO = {elbo:8.4f}   KL = {gap:.4f}   "
          f"ELBO + KL = {elbo + gap:8.4f}")  # fmt: skip

# %% [markdown] en
# The first and the last number agree. So maximising the ELBO does two things at once: it raises the
# probability of the data, and it pulls $q$ towards the true posterior. In the picture, the ellipses
# are one and two standard deviations of $q$; where the spot is not an ellipse, or the encoder
# misses it, the gap is large.

# %% [markdown] pt
# O primeiro e o último número coincidem. Maximizar o ELBO faz, portanto, duas coisas ao mesmo
# tempo: aumenta a probabilidade dos dados e puxa $q$ para perto da posterior verdadeira. Na figura,
# as elipses são um e dois desvios padrão de $q$; onde a mancha não é uma elipse, ou o codificador
# erra a mancha, a folga é grande.

# %%
from matplotlib.patches import Ellipse

fig, axes = plt.subplots(1, 4, figsize=(7.5, 2.2), layout="constrained")
for i, ax in zip(some, axes, strict=True):
    density = (log_joint(x_test[i]) - log_marginal(x_test[i])).exp().reshape(CELLS, CELLS).T
    ax.contourf(middles, middles, density, levels=8, cmap="Blues")
    (mu,), (sigma,) = encode(x_test[i : i + 1])
    for k in (1, 2):
        ax.add_patch(Ellipse(mu, *(2 * k * sigma), fill=False, color="C3"))
    ax.set(xlim=mu[0] + torch.tensor([-1.5, 1.5]), ylim=mu[1] + torch.tensor([-1.5, 1.5]))
    ax.set(aspect="equal", title=f"KL(q || p) = {gap_and_bound(x_test[i])[0]:.2f} nats")
plt.show()

# %% [markdown] en
# ## The rate has a closed form
#
# For two normal distributions the KL needs no sampling. Take one dimension, $q = \mathcal N(\mu,
# \sigma^2)$ and $p = \mathcal N(0, 1)$. Write down both log densities and subtract; the constants
# $-\tfrac12 \log 2\pi$ cancel:
#
# $$\log \frac{q(z)}{p(z)} = -\log \sigma - \frac{(z - \mu)^2}{2 \sigma^2} + \frac{z^2}{2} .$$
#
# Now take the expectation over $q$. By definition $\mathbb E[(z - \mu)^2] = \sigma^2$ and $\mathbb
# E[z^2] = \mu^2 + \sigma^2$, so
#
# $$\mathrm{KL} = -\log \sigma - \frac12 + \frac{\mu^2 + \sigma^2}{2}
#   = \frac12 \big( \mu^2 + \sigma^2 - 1 - \log \sigma^2 \big) .$$
#
# With several independent dimensions the terms add up. Read the formula: $\mu^2$ pulls the code to
# the centre, and $\sigma^2 - 1 - \log \sigma^2$ is smallest at $\sigma = 1$, so a point ($\sigma
# \to 0$) would cost infinitely many nats. We check it against an average over samples, which has a
# standard error.

# %% [markdown] pt
# ## A taxa tem forma fechada
#
# Para duas distribuições normais, a KL dispensa amostragem. Tome uma dimensão, $q = \mathcal N(\mu,
# \sigma^2)$ e $p = \mathcal N(0, 1)$. Escreva os dois logaritmos das densidades e subtraia; as
# constantes $-\tfrac12 \log 2\pi$ se cancelam:
#
# $$\log \frac{q(z)}{p(z)} = -\log \sigma - \frac{(z - \mu)^2}{2 \sigma^2} + \frac{z^2}{2} .$$
#
# Agora tome a esperança sob $q$. Por definição, $\mathbb E[(z - \mu)^2] = \sigma^2$ e $\mathbb
# E[z^2] = \mu^2 + \sigma^2$; logo,
#
# $$\mathrm{KL} = -\log \sigma - \frac12 + \frac{\mu^2 + \sigma^2}{2}
#   = \frac12 \big( \mu^2 + \sigma^2 - 1 - \log \sigma^2 \big) .$$
#
# Com várias dimensões independentes, os termos se somam. Leia a fórmula: $\mu^2$ puxa o código para
# o centro, e $\sigma^2 - 1 - \log \sigma^2$ é mínimo em $\sigma = 1$; por isso um ponto ($\sigma
# \to 0$) custaria infinitos nats. Conferimos com uma média sobre amostras, que tem um erro padrão.


# %%
def rate_of(mu, sigma):
    """KL(N(mu, diag(sigma^2)) || N(0, I)), in nats."""
    return 0.5 * (mu**2 + sigma**2 - 1 - 2 * sigma.log()).sum(-1)


torch.manual_seed(0)
mu, sigma = encode(x[None])
z = mu + sigma * torch.randn(100_000, 2)
each = log_normal(z, mu, sigma) - log_prior(z)
print(t("formula:", "fórmula: "), f"{rate_of(mu, sigma).item():.4f}")
print(t("samples:", "amostras:"), f"{each.mean():.4f} ± {each.std() / len(each) ** 0.5:.4f}")

# %% [markdown] en
# ## A gradient through a sample
#
# The distortion is an expectation over $q$, and $q$ depends on the encoder's weights. We estimate
# it with one sample per image. But how does a gradient get through a random number? It cannot get
# through "draw from $\mathcal N(\mu, \sigma^2)$". The **reparameterisation** separates the
# randomness from the weights:
#
# $$z = \mu + \sigma  \varepsilon, \qquad \varepsilon \sim \mathcal N(0, 1) .$$
#
# Now $z$ is an ordinary function of $\mu$ and $\sigma$. We try it on a case with a known answer:
# for $f(z) = z^2$ the expectation is $\mu^2 + \sigma^2$, so its gradient with respect to $\mu$ is
# $2\mu$. The older estimator multiplies $f(z)$ by the gradient of $\log q$ instead (the *score
# function*, REINFORCE). It is right on average, too. **Which one scatters more?**

# %% [markdown] pt
# ## Um gradiente através de uma amostra
#
# A distorção é uma esperança sob $q$, e $q$ depende dos pesos do codificador. Nós a estimamos com
# uma amostra por imagem. Mas como um gradiente passa por um número aleatório? Por "sortear de
# $\mathcal N(\mu, \sigma^2)$" ele não passa. A **reparametrização** separa o acaso dos pesos:
#
# $$z = \mu + \sigma  \varepsilon, \qquad \varepsilon \sim \mathcal N(0, 1) .$$
#
# Agora $z$ é uma função comum de $\mu$ e $\sigma$. Testamos em um caso de resposta conhecida: para
# $f(z) = z^2$ a esperança é $\mu^2 + \sigma^2$; logo, o gradiente em relação a $\mu$ é $2\mu$. O
# estimador mais antigo multiplica $f(z)$ pelo gradiente de $\log q$ (a *função escore*, REINFORCE).
# Em média ele também acerta. **Qual dos dois varia mais?**

# %%
torch.manual_seed(0)
m, s = 1.0, 0.5
noise = torch.randn(10_000)
z = m + s * noise
pathwise = 2 * z  # the derivative of (m + s * noise)^2 with respect to m
score = z**2 * (z - m) / s**2  # f(z) times the derivative of log q(z) with respect to m
print(t("exact:           ", "exato:               "), 2 * m)
for name, each in {
    t("reparameterised: ", "reparametrizado:     "): pathwise,
    t("score function:  ", "função escore:       "): score,
}.items():
    print(name, f"{each.mean():.3f} ± {each.std() / 100:.3f},",
          t("standard deviation", "desvio padrão"), f"{each.std():.2f}")  # fmt: skip

# %% [markdown] en
# Both are right, but the reparameterised gradient scatters several times less. That is why one
# sample per image is enough to train a VAE.
#
# ## The ELBO by hand
#
# We have all the pieces. Here is the ELBO in five lines:

# %% [markdown] pt
# Os dois acertam, mas o gradiente reparametrizado varia várias vezes menos. É por isso que uma
# amostra por imagem basta para treinar um VAE.
#
# ## O ELBO à mão
#
# Temos todas as peças. Este é o ELBO em cinco linhas:


# %%
def minus_elbo(x, noise):
    mu, sigma = encode(x)
    z = mu + sigma * noise
    distortion = -log_likelihood(x, z)
    return distortion, rate_of(mu, sigma)


torch.manual_seed(7)
distortion, rate = minus_elbo(x_test, torch.randn(len(x_test), 2))
torch.manual_seed(7)
draw = vae.draw(x_test)  # vaelab's own terms, with the same noise
print(t("by hand:", "à mão:  "), f"{distortion.mean():.5f} + {rate.mean():.5f}")
print(t("vaelab: ", "vaelab: "), f"{draw.distortion.mean():.5f} + {draw.rate.mean():.5f}")
print(f"{(draw.distortion - distortion).abs().max():.1e}, {(draw.rate - rate).abs().max():.1e}")

# %% [markdown] en
# The last line shows the largest difference for a single image: rounding, and nothing else.
#
# ## What the training did
#
# **Predict first.** At the beginning the encoder knows nothing. How do distortion and rate change
# during the training?

# %% [markdown] pt
# A última linha mostra a maior diferença em uma única imagem: arredondamento, e nada mais.
#
# ## O que o treino fez
#
# **Preveja antes.** No início, o codificador não sabe nada. Como a distorção e a taxa mudam durante
# o treino?

# %%
epochs = [entry["epoch"] for entry in run.history]
titles = {
    "loss": t("loss", "perda"),
    "distortion": t("distortion", "distorção"),
    "rate": t("rate", "taxa"),
}
splits = {"train": t("training", "treino"), "validation": t("validation", "validação")}
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.3), layout="constrained")
for ax, (key, title) in zip(axes, titles.items(), strict=True):
    for split, label in splits.items():
        ax.plot(epochs, [entry[split][key] for entry in run.history], label=label)
    ax.set(title=title, xlabel=t("epoch", "época"))
axes[0].set_ylabel(t("nats per image", "nats por imagem"))
axes[0].legend(frameon=False)
plt.show()

# %% [markdown] en
# In the first epochs the rate falls: the quickest way to a lower loss is to make all clouds alike,
# and the code says little. Then the model *buys* information: a nat of rate is worth its price if
# the distortion falls by more than a nat. At the end the code carries between two and three nats,
# that is, three to four bits per image, roughly enough to tell ten digits apart.
#
# ## Against the autoencoder
#
# The same networks without the rate are the autoencoder of lesson 1. We train it on the same binary
# images.

# %% [markdown] pt
# Nas primeiras épocas, a taxa cai: o modo mais rápido de reduzir a perda é tornar todas as nuvens
# iguais, e o código diz pouco. Depois o modelo *compra* informação: um nat de taxa vale o preço se
# a distorção cair mais de um nat. No fim, o código carrega entre dois e três nats, isto é, de três
# a quatro bits por imagem, mais ou menos o bastante para distinguir dez dígitos.
#
# ## Contra o autoencoder
#
# As mesmas redes sem a taxa são o autoencoder da lição 1. Nós o treinamos nas mesmas imagens
# binárias.

# %% live
plain = vaelab.train(
    vaelab.recipe("quickstart", settings | {"model.variant": "ae"}), "runs/ae", overwrite=True
)

# %%
models = {"VAE": run, t("autoencoder", "autoencoder"): plain}
colours = np.array(COLOURS)
fig, axes = plt.subplots(2, 2, figsize=(6.5, 6.5), layout="constrained")
for (name, one), (above, below) in zip(models.items(), axes.T, strict=True):
    z = one.vae.encode(x_train)
    above.scatter(*z.T, c=colours[y_train], s=4, linewidths=0)
    for radius in (1, 2):
        above.add_patch(plt.Circle((0, 0), radius, fill=False, linestyle="--"))
    above.set(title=name, aspect="equal", xlabel="$z_1$", ylabel="$z_2$")
    show(below, one.vae.sample(100), 10, t("samples from N(0, I)", "amostras de N(0, I)"))
plt.show()

# %%
for name, one in models.items():
    found = vaelab.evaluate(one, sections=("latent", "samples"), quiet=True).sections
    mismatch = found["latent"]["prior_gap_at_least"]
    print(name)
    print("  ", t("distortion", "distorção"), f"{one.results['distortion']:.2f}")
    print("  ", t("mismatch at least", "discrepância no mínimo"), mismatch)
    print("  ", t("Frechet distance", "distância de Fréchet"), found["samples"]["frechet"])

# %% [markdown] en
# The codes of the VAE fill the circles of the prior; those of the autoencoder do not. The
# autoencoder reconstructs better, because it may put the codes wherever it likes; the price appears
# when it has to invent. The mismatch is a lower bound in nats on the KL divergence between the
# codes of all images together and the prior.
#
# Look at the VAE's scatter again: the gaps are smaller, but not gone. The rate asks each *single*
# cloud to be near the prior. Whether all clouds *together* fill it is a question for [lesson
# 3](3-latent-space.ipynb) and [lesson 5](5-bounds-and-priors.ipynb).
#
# ## Grey pixels: a warning
#
# Many examples train a VAE with the cross-entropy of *grey* pixels and call the result a
# log-likelihood. It is not: the expression is not the probability of anything. You can see it from
# its smallest value, which is reached if every pixel is predicted exactly.

# %% [markdown] pt
# Os códigos do VAE preenchem os círculos da distribuição a priori; os do autoencoder, não. O
# autoencoder reconstrói melhor, porque pode pôr os códigos onde quiser; o preço aparece quando ele
# tem de inventar. A discrepância é um limite inferior, em nats, da divergência KL entre os códigos
# de todas as imagens juntas e a distribuição a priori.
#
# Olhe de novo a dispersão do VAE: os vãos são menores, mas não sumiram. A taxa pede que *cada*
# nuvem fique perto da distribuição a priori. Se todas as nuvens *juntas* a preenchem é uma questão
# para a [lição 3](3-latent-space.ipynb) e a [lição 5](5-bounds-and-priors.ipynb).
#
# ## Pixels cinzentos: um aviso
#
# Muitos exemplos treinam um VAE com a entropia cruzada de pixels *cinzentos* e chamam o resultado
# de log-verossimilhança. Não é: a expressão não é a probabilidade de coisa alguma. Dá para ver pelo
# seu menor valor, alcançado quando cada pixel é previsto exatamente.

# %%
grey = digits.test.x / ink
for name, images in {t("grey:", "cinza:"): grey, t("binary:", "binário:"): x_test}.items():
    best = F.binary_cross_entropy(images, images, reduction="none").sum((1, 2)).mean()
    print(f"{name:9} {best:.2f} nats")

# %% [markdown] en
# A perfect model of binary pixels would reach 0; one of grey pixels pays more than 13 nats for
# nothing. Compare such numbers only with one another
# ([docs/theory.md](../../theory.md#what-grey-pixels-do-to-the-numbers)).
#
# ## On MNIST
#
# Change one line of the settings and run everything again:
#
# ```py
# "data.source": "mnist",
# ```
#
# With `"train.epochs": 10`, the notebook takes a few minutes on two cores. The loss is then near
# 154 nats, 148 of them distortion: for MNIST, two numbers are too few. On grey pixels, the recipe
# `mlp-20d` with 20 dimensions reaches a loss 48 nats below that of `mlp-2d` with two
# ([docs/systems.md](../../systems.md#results-of-every-recipe)).
#
# ## Exercises
#
# **1. The gap.** Prove that $\log p(x) - \mathrm{ELBO}(x) = \mathrm{KL}(q(z \mid x) \Vert p(z \mid
# x))$. Why does it follow that the ELBO is a lower bound, without Jensen's inequality?

# %% [markdown] pt
# Um modelo perfeito de pixels binários chegaria a 0; um de pixels cinzentos paga mais de 13 nats
# por nada. Compare esses números apenas entre si
# ([docs/theory.md](../../theory.md#what-grey-pixels-do-to-the-numbers), em inglês).
#
# ## No MNIST
#
# Troque uma linha das configurações e rode tudo de novo:
#
# ```py
# "data.source": "mnist",
# ```
#
# Com `"train.epochs": 10`, o notebook leva alguns minutos em dois núcleos. A perda fica então perto
# de 154 nats, 148 deles de distorção: para o MNIST, dois números são poucos. Com pixels cinzentos,
# a receita `mlp-20d`, de 20 dimensões, chega a uma perda 48 nats menor que a de `mlp-2d`, de duas
# ([docs/systems.md](../../systems.md#results-of-every-recipe), em inglês).
#
# ## Exercícios
#
# **1. A folga.** Prove que $\log p(x) - \mathrm{ELBO}(x) = \mathrm{KL}(q(z \mid x) \Vert p(z \mid
# x))$. Por que resulta daí que o ELBO é um limite inferior, sem a desigualdade de Jensen?

# %% [markdown] en
# <details markdown="1"><summary>Solution</summary>
#
# Bayes' rule says $p(x \mid z) p(z) = p(z \mid x) p(x)$. Put this into the ELBO:
#
# $$\mathrm{ELBO}(x) = \mathbb E_q \left[ \log \frac{p(z \mid x) p(x)}{q(z \mid x)} \right]
#   = \log p(x) - \mathbb E_q \left[ \log \frac{q(z \mid x)}{p(z \mid x)} \right]
#   = \log p(x) - \mathrm{KL}\big(q(z \mid x) \Vert p(z \mid x)\big) .$$
#
# $\log p(x)$ does not depend on $z$, so it leaves the expectation. A KL divergence is never
# negative, so the ELBO is never above $\log p(x)$, and they are equal exactly if $q$ is the
# posterior.
#
# </details>
#
# **2. More samples, a tighter bound.** The average of $K$ importance weights $w_k = p(x, z_k) /
# q(z_k \mid x)$ estimates $p(x)$ without bias, so $\mathbb E \log \frac1K \sum_k w_k$ is a lower
# bound, too. Compute it for $K = 1, 10, 100, 1000$ on the first 50 test images, and compare it with
# the exact value.

# %% [markdown] pt
# <details markdown="1"><summary>Solução</summary>
#
# A regra de Bayes diz que $p(x \mid z) p(z) = p(z \mid x) p(x)$. Substitua no ELBO:
#
# $$\mathrm{ELBO}(x) = \mathbb E_q \left[ \log \frac{p(z \mid x) p(x)}{q(z \mid x)} \right]
#   = \log p(x) - \mathbb E_q \left[ \log \frac{q(z \mid x)}{p(z \mid x)} \right]
#   = \log p(x) - \mathrm{KL}\big(q(z \mid x) \Vert p(z \mid x)\big) .$$
#
# $\log p(x)$ não depende de $z$ e por isso sai da esperança. Uma divergência KL nunca é negativa;
# logo, o ELBO nunca fica acima de $\log p(x)$, e os dois são iguais exatamente quando $q$ é a
# posterior.
#
# </details>
#
# **2. Mais amostras, um limite mais justo.** A média de $K$ pesos de importância $w_k = p(x, z_k) /
# q(z_k \mid x)$ estima $p(x)$ sem viés; logo, $\mathbb E \log \frac1K \sum_k w_k$ também é um
# limite inferior. Calcule-o para $K = 1, 10, 100, 1000$ nas 50 primeiras imagens de teste e compare
# com o valor exato.

# %% solution
torch.manual_seed(0)
few = x_test[:50]
mu, sigma = encode(few)
z = mu + sigma * torch.randn(1000, len(few), 2)  # (K, N, 2)
log_w = log_likelihood(few, z) + log_prior(z) - log_normal(z, mu, sigma)
for k in (1, 10, 100, 1000):
    groups = log_w.reshape(1000 // k, k, -1).logsumexp(1) - math.log(k)  # (1000 / K, N)
    print(f"K = {k:4d}: {groups.mean():.3f}")
print(t("exact:   ", "exato:   "), f"{torch.stack([log_marginal(x) for x in few]).mean():.3f}")

# %% [markdown] en
# **3. The smallest rate.** For which $\mu$ and $\sigma$ is the rate 0? What does the model do if
# all images have this $q$, and why is it called *posterior collapse*?

# %% [markdown] pt
# **3. A menor taxa.** Para quais $\mu$ e $\sigma$ a taxa é 0? O que o modelo faz se todas as
# imagens tiverem essa $q$, e por que isso se chama *colapso da posterior*?

# %% [markdown] en
# <details markdown="1"><summary>Solution</summary>
#
# $\mu^2 \ge 0$ with equality at $\mu = 0$, and $\sigma^2 - 1 - \log \sigma^2 \ge 0$ with equality
# at $\sigma = 1$, because $\log u \le u - 1$. So the rate is 0 exactly if $q(z \mid x)$ is the
# prior. If that holds for all images, the code says nothing about the image, and the decoder can
# only answer with the mean image: the posterior has *collapsed* onto the prior. It happens if one
# nat of rate buys less than one nat of distortion.
#
# </details>
#
# **4. Your own VAE.** Write the training loop in plain PyTorch: an encoder with four outputs (two
# means, two log variances), a decoder, and the loss from above. Compare its test loss with
# `run.results["loss"]`.

# %% [markdown] pt
# <details markdown="1"><summary>Solução</summary>
#
# $\mu^2 \ge 0$ com igualdade em $\mu = 0$, e $\sigma^2 - 1 - \log \sigma^2 \ge 0$ com igualdade em
# $\sigma = 1$, porque $\log u \le u - 1$. Logo, a taxa é 0 exatamente quando $q(z \mid x)$ é a
# distribuição a priori. Se isso vale para todas as imagens, o código não diz nada sobre a imagem, e
# o decodificador só pode responder com a imagem média: a posterior *colapsou* sobre a distribuição
# a priori. Isso acontece quando um nat de taxa compra menos de um nat de distorção.
#
# </details>
#
# **4. Seu próprio VAE.** Escreva o laço de treino em PyTorch puro: um codificador com quatro saídas
# (duas médias e dois logaritmos de variâncias), um decodificador e a perda acima. Compare a perda
# de teste com `run.results["loss"]`.

# %% solution
from torch import nn

torch.manual_seed(0)
pixels = x_train[0].numel()
encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 128), nn.ReLU(), nn.Linear(128, 4))
decoder = nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, pixels))


def loss_of(x):
    mu, log_variance = encoder(x).chunk(2, -1)
    sigma = (0.5 * log_variance).exp()
    logits = decoder(mu + sigma * torch.randn_like(mu))
    distortion = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="none").sum(1)
    return distortion + rate_of(mu, sigma)


optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
for _ in range(60):
    for batch in torch.randperm(len(x_train)).split(64):
        optimiser.zero_grad()
        loss_of(x_train[batch]).mean().backward()
        optimiser.step()
with torch.no_grad():
    each = torch.stack([loss_of(x_test) for _ in range(10)]).mean(0)
error = each.std() / len(each) ** 0.5
print(f"{each.mean():.2f} ± {error:.2f} nats, vaelab {run.results['loss']:.2f}")

# %% [markdown] en
# <details markdown="1"><summary>Discussion</summary>
#
# The two losses are close. The rest is detail: vaelab trains on the same images with another
# schedule of the learning rate, and keeps the weights of the best epoch on the validation images.
#
# </details>
#
# **Next:** [looking at a latent space](3-latent-space.ipynb).

# %% [markdown] pt
# <details markdown="1"><summary>Discussão</summary>
#
# As duas perdas são próximas. O resto são detalhes: o vaelab treina nas mesmas imagens com outro
# esquema para a taxa de aprendizado e guarda os pesos da melhor época nas imagens de validação.
#
# </details>
#
# **A seguir:** [como olhar um espaço latente](3-latent-space.ipynb).
