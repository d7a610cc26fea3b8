# %% [markdown] en
# # 1. The autoencoder and its holes
#
# An autoencoder squeezes an image through a few numbers and tries to get the image back. In this
# lesson you train one, look at the space of these numbers, and try to *invent* images from it. That
# fails, and the way it fails is the reason why the variational autoencoder of [lesson
# 2](2-vae.ipynb) exists.
#
# You need Python and a little PyTorch. Everything runs on the CPU in less than a minute.

# %% [markdown] pt
# # 1. O autoencoder e seus buracos
#
# Um autoencoder espreme uma imagem em poucos números e tenta obter a imagem de volta. Nesta lição
# você treina um autoencoder, observa o espaço desses números e tenta *inventar* imagens a partir
# dele. Não dá certo, e o modo como não dá certo é a razão de existir do autoencoder variacional da
# [lição 2](2-vae.ipynb).
#
# Você precisa de Python e de um pouco de PyTorch. Tudo roda na CPU em menos de um minuto.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import vaelab
from vaelab.data import load
from vaelab.plots import COLOURS

LANG = "en"
plt.rcParams.update({"figure.dpi": 110, "font.size": 9})


def t(en, pt):
    """The text of a label in the language of this notebook."""
    return {"en": en, "pt": pt}[LANG]


def sheet(images, columns):
    """Small images (N, H, W) side by side as one large image."""
    images = np.pad(np.asarray(images), ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    n, height, width = images.shape
    rows = images.reshape(n // columns, columns, height, width)
    return rows.transpose(0, 2, 1, 3).reshape(-1, columns * width)


def show(ax, images, columns, title=""):
    ax.imshow(sheet(images, columns), cmap="gray_r", vmin=0, vmax=1)
    ax.set_title(title)
    ax.axis("off")


# %% [markdown] en
# ## The data
#
# The data are 1,797 handwritten digits of 8 × 8 pixels, which come with scikit-learn. A pixel is a
# number $x_i$ from 0 (paper) to 1 (ink), and an image is a vector $x$ of $D = 64$ such numbers. We
# hold out three images in ten for testing, and vaelab keeps a tenth of the others for validation.

# %% [markdown] pt
# ## Os dados
#
# Os dados são 1.797 dígitos manuscritos de 8 × 8 pixels, que vêm com o scikit-learn. Um pixel é um
# número $x_i$ de 0 (papel) a 1 (tinta), e uma imagem é um vetor $x$ de $D = 64$ desses números.
# Reservamos três de cada dez imagens para o teste, e o vaelab separa um décimo das outras para a
# validação.

# %%
recipe = vaelab.recipe(
    "quickstart",
    {
        "data.source": "digits",
        "data.test": 0.3,
        "model.variant": "ae",
        "model.likelihood": "bernoulli",
        "train.threads": 1,
        "figures.lang": LANG,
    },
)

digits = load(recipe.data)
ink = digits.levels - 1  # the pixel value of full ink, here 16
x_train, y_train = digits.train.x / ink, digits.train.y
x_test, y_test = digits.test.x / ink, digits.test.y
pixels = x_train[0].numel()
print(tuple(x_train.shape), tuple(x_test.shape))

fig, ax = plt.subplots(figsize=(7, 1.6))
show(ax, torch.cat([x_train[y_train == digit][:2] for digit in range(10)]), 20)
plt.show()

# %% [markdown] en
# ## Two functions and a bottleneck
#
# An **autoencoder** consists of two neural networks:
#
# - the **encoder** $f$ turns an image $x$ into a **code** $z = f(x)$, here of only two numbers;
# - the **decoder** $g$ turns a code into an image $\hat x = g(z)$.
#
# Both are trained together, so that the **reconstruction** $\hat x = g(f(x))$ resembles $x$. How is
# the resemblance measured? The decoder's output $\hat x_i$ lies between 0 and 1, so we read it as
# the probability that pixel $i$ is ink. The loss is the surprise at the true pixel, summed over the
# pixels, which is the **cross-entropy**
#
# $$L(x, \hat x) = -\sum_{i=1}^{D} \big[ x_i \log \hat x_i + (1 - x_i) \log (1 - \hat x_i) \big].$$
#
# With the natural logarithm its unit is the **nat**. Lesson 2 explains where this loss comes from.
# Any other measure of the difference, such as the squared error, would lead to the same
# conclusions.
#
# Two numbers for an image is not much: that is the **bottleneck**. Without it the networks could
# copy the pixels and would learn nothing.

# %% [markdown] pt
# ## Duas funções e um gargalo
#
# Um **autoencoder** é formado por duas redes neurais:
#
# - o **codificador** $f$ transforma uma imagem $x$ em um **código** $z = f(x)$, aqui de apenas dois
#   números;
# - o **decodificador** $g$ transforma um código em uma imagem $\hat x = g(z)$.
#
# As duas são treinadas juntas, para que a **reconstrução** $\hat x = g(f(x))$ se pareça com $x$.
# Como se mede a semelhança? A saída $\hat x_i$ do decodificador fica entre 0 e 1; por isso a lemos
# como a probabilidade de que o pixel $i$ seja tinta. A função de perda é a surpresa diante do pixel
# verdadeiro, somada sobre os pixels, isto é, a **entropia cruzada**
#
# $$L(x, \hat x) = -\sum_{i=1}^{D} \big[ x_i \log \hat x_i + (1 - x_i) \log (1 - \hat x_i) \big].$$
#
# Com o logaritmo natural, a unidade é o **nat**. A lição 2 explica de onde vem essa perda. Qualquer
# outra medida da diferença, como o erro quadrático, levaria às mesmas conclusões.
#
# Dois números por imagem é pouco: esse é o **gargalo**. Sem ele, as redes poderiam copiar os pixels
# e não aprenderiam nada.

# %% [markdown] en
# ## From scratch
#
# Here is the whole method in plain PyTorch. Read it once: there is nothing else to an autoencoder.

# %% [markdown] pt
# ## Do zero
#
# Este é o método inteiro em PyTorch puro. Leia uma vez com calma: um autoencoder não é nada além
# disto.


# %%
def networks(latent):
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 128), nn.ReLU())
    encoder.append(nn.Linear(128, latent))
    decoder = nn.Sequential(nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, pixels))
    return encoder, decoder


def loss_of(encoder, decoder, x):
    """The cross-entropy of each image, in nats; the decoder's output is the logit of a pixel."""
    logits = decoder(encoder(x))
    return F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="none").sum(1)


def fit(latent, epochs=60):
    torch.manual_seed(0)
    encoder, decoder = networks(latent)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=2e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x_train)).split(64):
            optimiser.zero_grad()
            loss_of(encoder, decoder, x_train[batch]).mean().backward()
            optimiser.step()
    return encoder, decoder


@torch.no_grad()
def test_loss(encoder, decoder):
    """The mean over the test images, and its standard error."""
    each = loss_of(encoder, decoder, x_test)
    return each.mean().item(), (each.std() / len(each) ** 0.5).item()


encoder, decoder = fit(latent=2)
print("{:.2f} ± {:.2f} nats".format(*test_loss(encoder, decoder)))

# %% [markdown] en
# The number after ± is the **standard error**: how much the mean would vary with another set of
# test images. Is the result good? A number needs something to compare it with, so here are two
# simpler "codes". The first knows nothing and always answers with the mean image. The second
# answers with the mean image of the right digit, which somebody told it.

# %% [markdown] pt
# O número depois de ± é o **erro padrão**: quanto a média variaria com outro conjunto de imagens de
# teste. O resultado é bom? Um número precisa de algo com que ser comparado; aqui estão dois
# "códigos" mais simples. O primeiro não sabe nada e responde sempre com a imagem média. O segundo
# responde com a imagem média do dígito certo, que alguém lhe contou.


# %%
def cross_entropy(predicted):
    predicted = predicted.clamp(1e-3, 1 - 1e-3)
    each = F.binary_cross_entropy(predicted, x_test, reduction="none").flatten(1).sum(1)
    return f"{each.mean():.2f} ± {each.std() / len(each) ** 0.5:.2f} nats"


class_means = torch.stack([x_train[y_train == digit].mean(0) for digit in range(10)])
mean = x_train.mean(0).expand_as(x_test)
print(t("mean image:           ", "imagem média:             "), cross_entropy(mean))
print(t("mean of the digit:    ", "média do dígito:          "), cross_entropy(class_means[y_test]))
print(t("the pixels themselves:", "os próprios pixels:       "), cross_entropy(x_test))

# %% [markdown] en
# Two numbers that the network invented say more about an image than its label does. Note the last
# line: the cross-entropy of grey pixels is not 0 even for a perfect reconstruction. What counts is
# the distance from that line.
#
# ## The same with vaelab
#
# From here on vaelab does the training. The recipe above says what to train: the variant `ae` with
# two latent dimensions. While it trains, the cell shows the current epoch and the remaining time,
# and then a table.

# %% [markdown] pt
# Dois números inventados pela rede dizem mais sobre uma imagem do que o rótulo dela. Repare na
# última linha: a entropia cruzada de pixels cinzentos não é 0 nem mesmo para uma reconstrução
# perfeita. O que conta é a distância até essa linha.
#
# ## O mesmo com o vaelab
#
# Daqui em diante, quem treina é o vaelab. A receita acima diz o que treinar: a variante `ae` com
# duas dimensões latentes. Durante o treino, a célula mostra a época atual e o tempo restante, e
# depois uma tabela.

# %% live
run = vaelab.train(recipe, "runs/autoencoder", overwrite=True)

# %%
run

# %% [markdown] en
# The card shows the loss on the test images; an autoencoder's *rate*, which you meet in lesson 2,
# is 0. `run.vae` is the trained model, whose `encode` and `decode` are $f$ and $g$.
#
# ## Reconstructions
#
# **Predict first.** Which digits will survive two numbers, and which will be confused?

# %% [markdown] pt
# O cartão mostra a perda nas imagens de teste; a *taxa* de um autoencoder, que você conhecerá na
# lição 2, é 0. `run.vae` é o modelo treinado, cujos métodos `encode` e `decode` são $f$ e $g$.
#
# ## Reconstruções
#
# **Preveja antes.** Quais dígitos sobrevivem a dois números, e quais serão confundidos?

# %%
ae = run.vae
some = torch.cat([(y_test == digit).nonzero()[:2, 0] for digit in range(10)])

fig, ax = plt.subplots(2, figsize=(7, 1.6))
show(ax[0], x_test[some], 20, t("test images", "imagens de teste"))
show(ax[1], ae.reconstruct(x_test[some]), 20, t("reconstructions", "reconstruções"))
plt.show()

# %% [markdown] en
# Most digits come back as a smooth version of themselves. Where a digit comes back as *another*
# digit, its code lies among the codes of that other digit. So let us look at the codes.
#
# ## The latent space
#
# Every training image is a point in the plane. The network was never told which digit an image
# shows; the colours are ours.

# %% [markdown] pt
# A maioria dos dígitos volta como uma versão suavizada de si mesma. Quando um dígito volta como
# *outro* dígito, seu código está entre os códigos desse outro. Vamos, então, olhar os códigos.
#
# ## O espaço latente
#
# Cada imagem de treino é um ponto no plano. Ninguém contou à rede que dígito a imagem mostra; as
# cores são nossas.

# %%
z_train, z_test = ae.encode(x_train), ae.encode(x_test)
colours = np.array(COLOURS)


def scatter(ax, z, y, **options):
    ax.scatter(*z.T, c=colours[y], s=5, linewidths=0, **options)
    for digit in range(10):
        place = z[y == digit].median(0).values
        ax.annotate(
            str(digit), place, color=colours[digit], weight="bold", ha="center", va="center",
            bbox={"boxstyle": "circle,pad=0.15", "color": "white", "alpha": 0.8},
        )  # fmt: skip
    ax.set(xlabel="$z_1$", ylabel="$z_2$", aspect="equal")


fig, ax = plt.subplots(figsize=(5.5, 5))
scatter(ax, z_train, y_train)
circle = plt.Circle((0, 0), 2, fill=False, linestyle="--")
ax.add_patch(circle)
plt.show()

# %% [markdown] en
# Three things to see:
#
# 1. Images of one digit lie together. Nearby codes give similar images, because the decoder is a
#    continuous function.
# 2. The scale is arbitrary. Codes reach far beyond the dashed circle of radius 2, much further to
#    one side than to the other.
# 3. There are **empty places**, between the digits and around them.
#
# What does the decoder do in an empty place? It was never asked about these codes. We decode a grid
# over the whole region; the right panel shows how far each place is from the nearest code of a
# training image.

# %% [markdown] pt
# Três coisas a observar:
#
# 1. Imagens do mesmo dígito ficam juntas. Códigos próximos geram imagens parecidas, porque o
#    decodificador é uma função contínua.
# 2. A escala é arbitrária. Os códigos vão muito além do círculo tracejado de raio 2, bem mais para
#    um lado do que para o outro.
# 3. Há **lugares vazios**, entre os dígitos e ao redor deles.
#
# O que faz o decodificador em um lugar vazio? Ele nunca foi consultado sobre esses códigos.
# Decodificamos uma grade sobre toda a região; o painel da direita mostra a que distância cada lugar
# está do código mais próximo de uma imagem de treino.

# %%
low, high = z_train.min(0).values, z_train.max(0).values


def grid(n):
    """The codes of a grid of n x n places over the box of all codes, from top left."""
    z1, z2 = torch.linspace(low[0], high[0], n), torch.linspace(high[1], low[1], n)
    return torch.stack([z1.repeat(n), z2.repeat_interleave(n)], 1)


def to_nearest(z):
    """The distance of codes z (N, 2) to the nearest code of a training image, (N,)."""
    return torch.cdist(z, z_train[:5000]).min(1).values


box = [low[0], high[0], low[1], high[1]]
fig, ax = plt.subplots(1, 2, figsize=(7.5, 3.7), layout="constrained")
show(ax[0], ae.decode(grid(16)), 16, t("the region, decoded", "a região, decodificada"))
away = to_nearest(grid(100)).reshape(100, 100).flipud()
steps = [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4]
distances = ax[1].contourf(away, steps, extent=box, colors=plt.cm.magma(np.linspace(0, 1, 7)))
ax[1].scatter(*z_train.T, s=1, color="white", linewidths=0)
ax[1].set_title(t("distance to the nearest code", "distância ao código mais próximo"))
fig.colorbar(distances, ax=ax[1])
plt.show()

# %% [markdown] en
# In the dense parts the decoded images are digits. In the empty parts the decoder still answers,
# with a blend of two digits or with one shape over a wide area. Such a region is a **hole**: a
# place where the decoder gives an answer that it never learned.
#
# ## Between two images
#
# On a straight line from the code of one image to the code of another, the path may cross a hole.
# The number above a path is its greatest distance from the nearest code.

# %% [markdown] pt
# Nas partes densas, as imagens decodificadas são dígitos. Nas partes vazias, o decodificador
# responde mesmo assim, com uma mistura de dois dígitos ou com uma só forma em uma área extensa. Uma
# região assim é um **buraco**: um lugar onde o decodificador dá uma resposta que nunca aprendeu.
#
# ## Entre duas imagens
#
# Em uma linha reta do código de uma imagem até o código de outra, o caminho pode atravessar um
# buraco. O número acima de um caminho é a sua maior distância ao código mais próximo.


# %%
def typical(digit):
    """The code of the test image that is closest to the middle of a digit's codes."""
    codes = z_test[y_test == digit]
    return codes[(codes - codes.median(0).values).norm(dim=1).argmin()]


pairs = [(0, 2), (1, 3), (4, 2)]
fig, ax = plt.subplots(len(pairs), figsize=(6.5, 2.3))
for axis, (a, b) in zip(ax, pairs, strict=True):
    path = torch.lerp(typical(a), typical(b), torch.linspace(0, 1, 13)[:, None])
    show(axis, ae.decode(path), 13, f"{a} → {b}: {to_nearest(path).max():.2f}")
plt.show()

# %% [markdown] en
# ## Can it invent digits?
#
# A **generative model** makes new images. For that we need a rule that chooses codes; the decoder
# does the rest. The autoencoder comes without such a rule, so we have to guess one. Three guesses:
#
# - the **standard normal** $\mathcal N(0, I)$, the usual choice for a random vector;
# - the **box**: uniform between the smallest and the largest code;
# - the **fitted normal**, with the mean and the covariance of the codes.
#
# **Predict first.** What goes wrong with each of them?

# %% [markdown] pt
# ## Ele consegue inventar dígitos?
#
# Um **modelo gerativo** cria imagens novas. Para isso precisamos de uma regra que escolha códigos;
# o decodificador faz o resto. O autoencoder não traz essa regra, então temos de adivinhar uma. Três
# palpites:
#
# - a **normal padrão** $\mathcal N(0, I)$, a escolha habitual para um vetor aleatório;
# - a **caixa**: uniforme entre o menor e o maior código;
# - a **normal ajustada**, com a média e a covariância dos códigos.
#
# **Preveja antes.** O que dá errado com cada uma delas?

# %%
N = 2000
torch.manual_seed(1)
fitted = torch.distributions.MultivariateNormal(z_train.mean(0), z_train.T.cov())
rules = {
    t("standard normal", "normal padrão"): torch.randn(N, 2),
    t("box", "caixa"): low + (high - low) * torch.rand(N, 2),
    t("fitted normal", "normal ajustada"): fitted.sample((N,)),
}
fig, ax = plt.subplots(2, 3, figsize=(7.5, 5.2), layout="constrained")
for (name, z), (above, below) in zip(rules.items(), ax.T, strict=True):
    above.scatter(*z_train.T, s=2, color="0.75", linewidths=0)
    above.scatter(*z[:300].T, s=3, color="C3", linewidths=0)
    above.set(title=name, xlim=(low[0] - 2, high[0] + 2), ylim=(low[1] - 2, high[1] + 2))
    show(below, ae.decode(z[:64]), 8)
plt.show()

# %% [markdown] en
# - The standard normal (red) covers a small part of the codes (grey). The images are fairly good,
#   but some digits hardly ever occur.
# - The box and the fitted normal reach all digits, but many samples fall into holes.
#
# ## How large are the holes?
#
# Let us turn the impression into numbers, one for each kind of failure.
#
# **In a hole.** A code of a *test* image is usually close to the code of some training image. We
# take the distance that 95% of the test codes stay below, and call a sample *in a hole* if it is
# further away. Without holes the share would be 5%. Its standard error is $\sqrt{p(1-p)/N}$.
#
# **Missing digits.** We give every sample the digit of the nearest training code, and count the
# digits that make up less than 2% of the samples. In the data each makes up about 10%.

# %% [markdown] pt
# - A normal padrão (vermelho) cobre uma pequena parte dos códigos (cinza). As imagens são
#   razoáveis, mas alguns dígitos quase não aparecem.
# - A caixa e a normal ajustada alcançam todos os dígitos, mas muitas amostras caem em buracos.
#
# ## De que tamanho são os buracos?
#
# Vamos transformar a impressão em números, um para cada tipo de falha.
#
# **Em um buraco.** O código de uma imagem de *teste* costuma estar perto do código de alguma imagem
# de treino. Tomamos a distância abaixo da qual ficam 95% dos códigos de teste e dizemos que uma
# amostra está *em um buraco* se estiver mais longe. Sem buracos, a proporção seria de 5%. Seu erro
# padrão é $\sqrt{p(1-p)/N}$.
#
# **Dígitos que faltam.** Damos a cada amostra o dígito do código de treino mais próximo e contamos
# os dígitos que formam menos de 2% das amostras. Nos dados, cada um forma cerca de 10%.

# %%
far = to_nearest(z_test).quantile(0.95)
for name, z in rules.items():
    share = (to_nearest(z) > far).float().mean().item()
    error = (share * (1 - share) / N) ** 0.5
    digit = y_train[torch.cdist(z, z_train[:5000]).argmin(1)]
    missing = [d for d in range(10) if (digit == d).float().mean() < 0.02]
    in_hole = f"{100 * share:4.1f} ± {100 * error:.1f}%, "
    print(f"{name:16}", t("in a hole:", "em um buraco:"), in_hole, end="")
    print(t("missing digits:", "dígitos que faltam:"), *missing or "–")

# %% [markdown] en
# No rule gets both right. vaelab measures the same with standard tools. `evaluate` compares samples
# of the standard normal with the test images:
#
# - The **Frechet distance** compares the two sets by the features of a small classifier: 0 if they
#   have the same mean and covariance. Real training images give the value that is reachable with so
#   few images.
# - The **mismatch** is a lower bound, in nats, on the KL divergence between the codes and the
#   standard normal.

# %% [markdown] pt
# Nenhuma regra acerta nos dois pontos. O vaelab mede o mesmo com ferramentas padronizadas.
# `evaluate` compara amostras da normal padrão com as imagens de teste:
#
# - A **distância de Fréchet** compara os dois conjuntos pelas características de um pequeno
#   classificador: 0 se tiverem a mesma média e a mesma covariância. Imagens reais de treino dão o
#   valor que se alcança com tão poucas imagens.
# - A **discrepância** é um limite inferior, em nats, da divergência KL entre os códigos e a normal
#   padrão.

# %%
evaluation = vaelab.evaluate(run, sections=("latent", "samples"), quiet=True)
samples, latent = evaluation.sections["samples"], evaluation.sections["latent"]
print(t("Frechet distance, samples:", "distância de Fréchet, amostras:"), samples["frechet"])
print(t("Frechet distance, real:", "distância de Fréchet, reais:"), samples["frechet_real"])
print(t("mismatch, at least:", "discrepância, no mínimo:"), latent["prior_gap_at_least"])

# %% [markdown] en
# ## Why?
#
# The loss is computed on reconstructions, and only codes of images occur in it. **Nothing in it
# says where the codes should lie, or what should be between them.** You can check this on the
# autoencoder that we wrote ourselves. We multiply all codes by 10, and divide the first weights of
# the decoder by 10, which undoes it.

# %% [markdown] pt
# ## Por quê?
#
# A perda é calculada sobre reconstruções, e nela só aparecem códigos de imagens. **Nada nela diz
# onde os códigos devem ficar nem o que deve haver entre eles.** Você pode verificar isso no
# autoencoder que escrevemos. Multiplicamos todos os códigos por 10 e dividimos por 10 os primeiros
# pesos do decodificador, o que desfaz a mudança.


# %%
def loss_and_reach():
    """Print the test loss, and the largest coordinate of a code."""
    loss, error = test_loss(encoder, decoder)
    print(f"{loss:.4f} ± {error:.4f} nats, max |z| = {encoder(x_test).abs().max():.1f}")


loss_and_reach()
with torch.no_grad():
    encoder[-1].weight *= 10
    encoder[-1].bias *= 10
    decoder[0].weight /= 10
loss_and_reach()

# %% [markdown] en
# The loss is the same; the gaps between the codes are ten times as wide. An autoencoder that leaves
# enormous holes is, by its own measure, exactly as good as one without.
#
# So we need two things: a rule for choosing codes *before* training, and a term of the loss that
# makes the codes follow it. If moreover every image occupies a small cloud instead of a point, the
# decoder learns the surroundings, too. These three ideas make a variational autoencoder: [lesson
# 2](2-vae.ipynb).
#
# ## On MNIST
#
# Change one line and run everything again:
#
# ```py
# "data.source": "mnist",
# ```
#
# The first run downloads MNIST (11 MB). With `"train.epochs": 10`, the notebook takes a few minutes
# on two cores. An image has $D = 784$ pixels, so the losses are around 135 nats instead of 20:
# never compare nats across data sets. vaelab's study `vae-vs-ae-2d` trains larger networks there,
# and [docs/systems.md](../../systems.md#4-vae-vs-ae-2d) discusses its numbers: Frechet distances of
# 18.0 for the autoencoder and 12.5 for the VAE.
#
# ## Exercises
#
# **1. The width of the bottleneck.** What do you expect of the loss if the code has 1, 2, 4, 8 or
# 16 numbers? Use `fit`. Does a wider bottleneck help against holes?

# %% [markdown] pt
# A perda é a mesma; os vãos entre os códigos são dez vezes mais largos. Um autoencoder que deixa
# buracos enormes é, pela sua própria medida, tão bom quanto um sem buracos.
#
# Precisamos, portanto, de duas coisas: uma regra para escolher códigos *antes* do treino e um termo
# da perda que faça os códigos seguirem essa regra. Se, além disso, cada imagem ocupar uma pequena
# nuvem em vez de um ponto, o decodificador aprende também os arredores. Essas três ideias formam um
# autoencoder variacional: [lição 2](2-vae.ipynb).
#
# ## No MNIST
#
# Troque uma linha e rode tudo de novo:
#
# ```py
# "data.source": "mnist",
# ```
#
# A primeira vez baixa o MNIST (11 MB). Com `"train.epochs": 10`, o notebook leva alguns minutos em
# dois núcleos. Uma imagem tem $D = 784$ pixels; por isso as perdas ficam em torno de 135 nats em
# vez de 20: nunca compare nats entre conjuntos de dados diferentes. O estudo `vae-vs-ae-2d` do
# vaelab treina ali redes maiores, e [docs/systems.md](../../systems.md#4-vae-vs-ae-2d) (em inglês)
# discute os números: distâncias de Fréchet de 18,0 para o autoencoder e 12,5 para o VAE.
#
# ## Exercícios
#
# **1. A largura do gargalo.** O que você espera da perda se o código tiver 1, 2, 4, 8 ou 16
# números? Use `fit`. Um gargalo mais largo ajuda contra os buracos?

# %% solution
for latent in (1, 2, 4, 8, 16):
    print("{:2d}: {:.2f} ± {:.2f} nats".format(latent, *test_loss(*fit(latent, epochs=30))))

# %% [markdown] en
# <details markdown="1"><summary>Discussion</summary>
#
# The loss falls, quickly at first, towards the cross-entropy of the pixels themselves. Holes get
# worse, not better: the same number of codes has to fill a space of more dimensions, so almost all
# of it is empty.
#
# </details>
#
# **2. Linear networks.** Remove the hidden layers and use the squared error. What does the
# autoencoder find then? Compare its error with that of a principal component analysis with two
# components.

# %% [markdown] pt
# <details markdown="1"><summary>Discussão</summary>
#
# A perda cai, depressa no começo, em direção à entropia cruzada dos próprios pixels. Os buracos
# pioram em vez de melhorar: o mesmo número de códigos tem de encher um espaço de mais dimensões, e
# quase todo ele fica vazio.
#
# </details>
#
# **2. Redes lineares.** Retire as camadas ocultas e use o erro quadrático. O que o autoencoder
# encontra, então? Compare o erro com o de uma análise de componentes principais com duas
# componentes.

# %% solution
from sklearn.decomposition import PCA

flat = x_train.flatten(1)
torch.manual_seed(0)
linear = nn.Sequential(nn.Linear(pixels, 2), nn.Linear(2, pixels))
optimiser = torch.optim.Adam(linear.parameters(), lr=1e-2)
for _ in range(1500):
    optimiser.zero_grad()
    error = (linear(flat) - flat).square().sum(1).mean()
    error.backward()
    optimiser.step()
pca = PCA(2).fit(flat)
remaining = np.square(pca.inverse_transform(pca.transform(flat)) - flat.numpy()).sum(1).mean()
print(f"autoencoder {error.item():.4f}, PCA {remaining:.4f}")

# %% [markdown] en
# <details markdown="1"><summary>Discussion</summary>
#
# The errors agree: the best linear autoencoder projects onto the plane of the first two principal
# components. It need not find the components themselves, because any two directions that span the
# plane are as good; this is the same freedom as in *Why?* above (Baldi & Hornik 1989).
#
# </details>
#
# **3. How free are the codes?** Let $h$ be any continuous map of the plane onto itself with a
# continuous inverse. Show that the encoder $h \circ f$ with the decoder $g \circ h^{-1}$ has the
# same loss as $f$ with $g$. What follows for a sampling rule that is chosen after the training?

# %% [markdown] pt
# <details markdown="1"><summary>Discussão</summary>
#
# Os erros coincidem: o melhor autoencoder linear projeta sobre o plano das duas primeiras
# componentes principais. Ele não precisa encontrar as próprias componentes, porque quaisquer duas
# direções que gerem o plano são igualmente boas; é a mesma liberdade da seção *Por quê?* acima
# (Baldi e Hornik, 1989).
#
# </details>
#
# **3. Quão livres são os códigos?** Seja $h$ uma aplicação contínua do plano sobre ele mesmo, com
# inversa contínua. Mostre que o codificador $h \circ f$ com o decodificador $g \circ h^{-1}$ tem a
# mesma perda que $f$ com $g$. O que resulta disso para uma regra de amostragem escolhida depois do
# treino?

# %% [markdown] en
# <details markdown="1"><summary>Solution</summary>
#
# The reconstruction is $g(h^{-1}(h(f(x)))) = g(f(x))$, so every term of the loss is the same. Codes
# can be stretched, bent and pushed apart at no cost. No fixed rule, such as $\mathcal N(0, I)$, can
# therefore fit the codes of every well-trained autoencoder: it has to be part of the training, or
# be fitted to the codes afterwards with a density that can take any shape (`vaelab fit-prior`).
#
# </details>
#
# **4. The worst reconstructions.** Which test images have the highest loss, and where are their
# codes?

# %% [markdown] pt
# <details markdown="1"><summary>Solução</summary>
#
# A reconstrução é $g(h^{-1}(h(f(x)))) = g(f(x))$, de modo que cada termo da perda fica igual. Os
# códigos podem ser esticados, dobrados e afastados sem custo. Por isso, nenhuma regra fixa, como
# $\mathcal N(0, I)$, serve para os códigos de todo autoencoder bem treinado: ela tem de fazer parte
# do treino, ou ser ajustada aos códigos depois, com uma densidade que possa tomar qualquer forma
# (`vaelab fit-prior`).
#
# </details>
#
# **4. As piores reconstruções.** Quais imagens de teste têm a maior perda, e onde estão os seus
# códigos?

# %% solution
again = ae.reconstruct(x_test).clamp(1e-6, 1 - 1e-6)
each = F.binary_cross_entropy(again, x_test, reduction="none").flatten(1).sum(1)
worst = each.argsort(descending=True)[:12]

fig = plt.figure(figsize=(7.5, 3.6), layout="constrained")
left, right = fig.subfigures(1, 2)
above, below = left.subplots(2)
show(above, x_test[worst], 12, t("test images", "imagens de teste"))
show(below, again[worst], 12, t("reconstructions", "reconstruções"))
ax = right.subplots()
scatter(ax, z_train, y_train, alpha=0.3)
ax.scatter(*z_test[worst].T, marker="x", color="black")
plt.show()

# %% [markdown] en
# <details markdown="1"><summary>Discussion</summary>
#
# They are unusual ways of writing a digit. The encoder puts them among other digits or between the
# groups, where the decoder has learned something else.
#
# </details>
#
# **Next:** [the VAE, with the ELBO derived](2-vae.ipynb).

# %% [markdown] pt
# <details markdown="1"><summary>Discussão</summary>
#
# São modos incomuns de escrever um dígito. O codificador os coloca entre outros dígitos ou entre os
# grupos, onde o decodificador aprendeu outra coisa.
#
# </details>
#
# **A seguir:** [o VAE, com a dedução do ELBO](2-vae.ipynb).
