# %% [markdown] en
# # 6. Discrete codes
#
# So far a code was a point in space. Now it becomes a short word: a few symbols from a finite
# alphabet.
#
# You will learn
#
# - why one would want that, and what a symbol costs in nats;
# - how a network learns through a step that has no gradient;
# - why codebooks die, and how to see it;
# - why a discrete code needs a learned prior, and what that prior is worth;
# - three ways to make symbols: VQ-VAE, FSQ and Gumbel-softmax, measured side by side.
#
# You need lessons 2 and 5. Everything runs on small data in about a minute.

# %% [markdown] pt
# # 6. Códigos discretos
#
# Até aqui, um código era um ponto no espaço. Agora ele vira uma palavra curta: alguns símbolos de
# um alfabeto finito.
#
# Você vai aprender
#
# - para que serve isso, e quanto custa um símbolo em nats;
# - como uma rede aprende através de um passo que não tem gradiente;
# - por que codebooks morrem, e como perceber;
# - por que um código discreto precisa de uma distribuição a priori aprendida, e quanto ela vale;
# - três maneiras de produzir símbolos: VQ-VAE, FSQ e Gumbel-softmax, medidas lado a lado.
#
# Você precisa das lições 2 e 5. Tudo roda com dados pequenos em cerca de um minuto.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn.functional import gumbel_softmax

import vaelab
from vaelab.data import Batches
from vaelab.evaluation import mean
from vaelab.models import build
from vaelab.plots import COLOURS, Look, localise, picture, rows
from vaelab.seeding import seeded

LANG = "en"
look = Look(LANG)
plt.rcParams.update(look.rc | {"text.parse_math": True})
torch.set_num_threads(1)


def say(en, pt):
    """The text in the language of this notebook."""
    return {"en": en, "pt": pt}[LANG]


# %% [markdown] en
# ## Words instead of points
#
# Let the code be $T$ symbols, $z = (z_1, \dots, z_T)$, each one of $C$ values. There are $C^T$
# words. With $T = 4$ and $C = 16$ that is 65,536: far more than our 1,797 digits.
#
# What are words good for?
#
# - **They can be counted.** A word of $T$ symbols costs at most $T \ln C$ nats, here $4 \ln 16 =
#   11.1$. The code needs no noise to keep the rate finite: the alphabet does that.
# - **Language models can read them.** A transformer that learns sequences of symbols learns the
#   prior. Image and speech generators are built this way.
# - **No price makes them collapse.** The encoder of a quantised code never sees the price of its
#   rate, so nothing pushes the rate to zero. (Codebooks have a disease of their own; we come to
#   it.)
#
# The price: rounding has no gradient.

# %% [markdown] pt
# ## Palavras em vez de pontos
#
# Seja o código formado por $T$ símbolos, $z = (z_1, \dots, z_T)$, cada um com um de $C$ valores. Há
# $C^T$ palavras. Com $T = 4$ e $C = 16$ são 65.536: muito mais do que os nossos 1.797 dígitos.
#
# Para que palavras?
#
# - **Elas podem ser contadas.** Uma palavra de $T$ símbolos custa no máximo $T \ln C$ nats, aqui
#   $4 \ln 16 = 11{,}1$. Não é preciso ruído no código para manter a taxa finita: o alfabeto cuida
#   disso.
# - **Modelos de linguagem sabem lê-las.** Um transformer que aprende sequências de símbolos aprende
#   a distribuição a priori. Geradores de imagens e de fala são construídos assim.
# - **Nenhum preço as faz colapsar.** O codificador de um código quantizado nunca vê o preço da sua
#   taxa, e nada a empurra para zero. (Os codebooks têm uma doença própria; já chegamos lá.)
#
# O preço: arredondar não tem gradiente.

# %% [markdown] en
# ## A codebook by hand
#
# **Vector quantisation** (van den Oord, Vinyals & Kavukcuoglu 2017) keeps a table of $C$ vectors,
# the **codebook**. The encoder gives a vector $e$, and the code is the nearest entry of the table:
#
# $$z = c_i, \qquad i = \arg\min_j \lVert e - c_j \rVert .$$
#
# How does the table learn? Each entry moves to the mean of the vectors that chose it. Let us do
# this in the plane. The "encoder outputs" are eight clouds, and the codebook has sixteen entries,
# which start in a corner, away from the data. **Predict:** how many of the sixteen will be in use
# after thirty rounds?

# %% [markdown] pt
# ## Um codebook à mão
#
# A **quantização vetorial** (van den Oord, Vinyals e Kavukcuoglu, 2017) mantém uma tabela de $C$
# vetores, o **codebook**. O codificador dá um vetor $e$, e o código é a entrada mais próxima da
# tabela:
#
# $$z = c_i, \qquad i = \arg\min_j \lVert e - c_j \rVert .$$
#
# Como a tabela aprende? Cada entrada se move para a média dos vetores que a escolheram. Vamos fazer
# isso no plano. As "saídas do codificador" são oito nuvens, e o codebook tem dezesseis entradas,
# que começam em um canto, longe dos dados. **Preveja:** quantas das dezesseis estarão em uso depois
# de trinta rodadas?

# %%
rng = torch.Generator().manual_seed(0)
angles = torch.arange(8) * torch.pi / 4
centres = 2 * torch.stack([angles.cos(), angles.sin()], 1)
e = (centres[:, None] + 0.3 * torch.randn(8, 60, 2, generator=rng)).flatten(0, 1)  # (480, 2)
start = torch.tensor([2.5, 2.5]) + 0.3 * torch.randn(16, 2, generator=rng)


def perplexity(counts):
    """exp of the entropy of the use: how many entries are in use, so to speak."""
    share = counts / counts.sum()
    return float((-(share * share.clamp(min=1e-12).log()).sum()).exp())


def learned(revive):
    """The codebook after thirty rounds; `revive` moves unused entries to random data."""
    table = start.clone()
    for _ in range(30):
        chosen = torch.cdist(e, table).argmin(1)
        for j in range(len(table)):
            if (chosen == j).any():
                table[j] = e[chosen == j].mean(0)
            elif revive:
                table[j] = e[torch.randint(len(e), (), generator=rng)]
    return table


figure, axes = plt.subplots(1, 3, figsize=(6.3, 2.6), sharey=True, layout="constrained")
titles = (
    say("start", "início"),
    say("means only", "só médias"),
    say("means, dead ones revived", "médias, mortas revividas"),
)
for ax, table, title in zip(axes, (start, learned(revive=False), learned(revive=True)), titles):
    distance, chosen = torch.cdist(e, table).min(1)
    counts = chosen.bincount(minlength=16).double()
    ax.scatter(*e.T, 4, color="0.8")
    ax.scatter(*table[counts > 0].T, 26, color=COLOURS[1], label=say("in use", "em uso"))
    ax.scatter(*table[counts == 0].T, 26, color=COLOURS[3], marker="x", label=say("dead", "morta"))
    ax.set(title=title, aspect="equal")
    print(f"{title}: {int((counts > 0).sum())}", say("of 16 in use,", "de 16 em uso,"), end=" ")
    print(say("perplexity", "perplexidade"), f"{perplexity(counts):.1f},", end=" ")
    print(say("squared distance", "distância ao quadrado"), f"{distance.square().mean():.3f}")
    localise(ax, look)
handles = axes[0].get_legend_handles_labels()
figure.legend(*handles, loc="outside lower center", ncols=2)
plt.show()

# %% [markdown] en
# An entry that nobody chooses never moves, so nobody will ever choose it: it is **dead**. Reviving
# helps: dead entries are thrown back among the data, as vaelab does with entries that are hardly
# used.
#
# The number to watch is the **perplexity** of the codebook, the exponential of the entropy of its
# use. It is $C$ if all entries are used equally, and 1 if one entry is used for everything.

# %% [markdown] pt
# Uma entrada que ninguém escolhe nunca se move, e por isso nunca será escolhida: está **morta**.
# Reviver ajuda: entradas mortas são lançadas de volta entre os dados, como o vaelab faz com as que
# quase não são usadas.
#
# O número a acompanhar é a **perplexidade** do codebook, a exponencial da entropia do seu uso. Ela
# é $C$ se todas as entradas são usadas por igual, e 1 se uma só entrada é usada para tudo.

# %% [markdown] en
# ## Straight through
#
# The table learns from means. But how does the *encoder* learn? Between $e$ and the loss stands an
# $\arg\min$. Move $e$ a little: the nearest entry stays the same, the loss stays the same, the
# gradient is zero.
#
# The **straight-through estimator** simply pretends. Forwards it uses $c_i$, backwards it copies
# the gradient past the rounding, as if $z$ were $e$:
#
# $$z = e + \operatorname{stop}(c_i - e) .$$

# %% [markdown] pt
# ## Direto através do arredondamento
#
# A tabela aprende com médias. Mas como aprende o *codificador*? Entre $e$ e a perda há um
# $\arg\min$. Mova $e$ um pouquinho: a entrada mais próxima é a mesma, a perda é a mesma, o
# gradiente é zero.
#
# O **estimador straight-through** simplesmente finge. Na ida usa $c_i$; na volta copia o gradiente
# por cima do arredondamento, como se $z$ fosse $e$:
#
# $$z = e + \operatorname{stop}(c_i - e) .$$

# %%
table, target = learned(revive=True), torch.tensor([0.0, 2.0])


def loss(z):
    """A decoder that would like to see `target`."""
    return (z - target).square().sum()


def nearest(vector):
    return table[torch.cdist(vector[None], table).argmin()]


point = e[100].clone().requires_grad_()
little = torch.tensor([1e-3, 0.0])
true = (loss(nearest(point.detach() + little)) - loss(nearest(point.detach()))) / 1e-3
z = point + (nearest(point) - point).detach()
loss(z).backward()
entry = 2 * (nearest(point) - target).detach()
print(
    say("true derivative along the first axis:", "derivada real no primeiro eixo:  "), float(true)
)
print(say("straight-through gradient:           ", "gradiente straight-through:      "), point.grad)
print(say("gradient of the loss at the entry:   ", "gradiente da perda na entrada:   "), entry)

# %% [markdown] en
# It is not the gradient of anything, and it works well as long as $e$ stays close to its entry. A
# **commitment** term in the loss, $\lVert e - \operatorname{stop}(c_i) \rVert^2$ with a small
# weight, keeps it there.

# %% [markdown] pt
# Não é o gradiente de coisa alguma, e funciona bem enquanto $e$ fica perto da sua entrada. Um termo
# de **comprometimento** (commitment) na perda, $\lVert e - \operatorname{stop}(c_i) \rVert^2$ com
# um peso pequeno, o mantém ali.

# %% [markdown] en
# ## A VQ-VAE of the digits
#
# Now with networks. The variant `vq-vae` has a quantised posterior, and an autoregressive prior
# over the symbols: a small transformer that predicts each symbol from those before it. Four symbols
# of sixteen values.

# %% [markdown] pt
# ## Um VQ-VAE dos dígitos
#
# Agora com redes. A variante `vq-vae` tem uma posterior quantizada e uma distribuição a priori
# autorregressiva sobre os símbolos: um pequeno transformer que prevê cada símbolo a partir dos
# anteriores. Quatro símbolos de dezesseis valores.

# %%
SETTINGS = {
    "data.treatment": "threshold",
    "model.likelihood": "bernoulli",
    "model.hidden": [128],
    "model.latent": 4,
    "model.codes": 16,
    "train.epochs": 30,
    "train.batch": 128,
    "train.learning_rate": 3e-3,
    "figures.format": [],
}
run = vaelab.train(
    vaelab.recipe("quickstart", SETTINGS | {"model.variant": "vq-vae"}), "runs/vq-vae", quiet=True
)
x = (run.data.test.x / 16 >= 0.5).float()  # (180, 8, 8), black and white
train = (run.data.train.x / 16 >= 0.5).float()
words, known = (
    run.vae.encoder.indices(run.vae.encode(images)) for images in (x, train)
)  # (N, 4), from 0 to 15
labels = [" ".join(f"{i:02d}" for i in word) for word in words[:10].tolist()]
print("\n".join(labels[:3]), "...")
print(len(known.unique(dim=0)), say("words name", "palavras nomeiam"), len(train), end=" ")
print(say("training images", "imagens de treino"))
rows(
    {
        say("digits", "dígitos"): picture(x[:10]),
        say("decoded words", "palavras decodificadas"): picture(run.vae.reconstruct(x[:10])),
    },
    look=look,
)

# %% [markdown] en
# The section `latent` of an evaluation counts how the codebook is used.

# %% [markdown] pt
# A seção `latent` de uma avaliação conta como o codebook é usado.

# %%
latent = vaelab.evaluate(run, sections="latent", quiet=True).sections["latent"]
share, uses = latent["codes_used"], latent["codes_perplexity"]
print(say("share of the codebook in use:", "fração do codebook em uso:"), f"{share:.0%},", end=" ")
print(say("perplexity", "perplexidade"), f"{uses:.1f}", say("of", "de"), 16)

# %% [markdown] en
# What does a symbol say? Take the word of one digit, and replace one symbol by all sixteen values,
# the other three unchanged. Each row is one place of the word.

# %% [markdown] pt
# O que diz um símbolo? Tome a palavra de um dígito e substitua um símbolo por todos os dezesseis
# valores, sem mudar os outros três. Cada linha é uma posição da palavra.

# %%
word, shown = words[0], {}
for place in range(4):
    changed = word.repeat(16, 1)
    changed[:, place] = torch.arange(16)
    shown[say("symbol", "símbolo") + f" {place + 1}"] = picture(
        run.vae.decode(run.vae.encoder.vectors(changed))
    )
rows(shown, look=look)

# %% [markdown] en
# ## Counting nats
#
# The code is deterministic, so the information in it is simply its entropy, and any code for the
# words gives an **upper bound** on it. The better we know the words, the shorter the code:
#
# 1. **fixed length**: we know nothing. Each symbol costs $\ln C$.
# 2. **one symbol at a time**: we know how frequent each symbol is at each place. A word costs
#    $-\sum_t \ln f_t(z_t)$.
# 3. **learned prior**: we know how likely each symbol is *given those before it*. A word costs
#    $-\ln p(z)$, by the transformer.
#
# This is the rate, and $D + R$ bounds $-\log p(x)$ with each of the three. **Predict** the order,
# and guess the distances. Everything is measured on test images; frequencies and transformer come
# from training images.

# %% [markdown] pt
# ## Contar nats
#
# O código é determinístico; portanto a informação nele é simplesmente a sua entropia, e qualquer
# codificação das palavras dá um **limite superior** para ela. Quanto melhor conhecemos as palavras,
# mais curta a codificação:
#
# 1. **comprimento fixo**: não sabemos nada. Cada símbolo custa $\ln C$.
# 2. **um símbolo de cada vez**: sabemos quão frequente é cada símbolo em cada posição. Uma palavra
#    custa $-\sum_t \ln f_t(z_t)$.
# 3. **distribuição a priori aprendida**: sabemos quão provável é cada símbolo *dados os
#    anteriores*. Uma palavra custa $-\ln p(z)$, segundo o transformer.
#
# Essa é a taxa, e $D + R$ limita $-\log p(x)$ com cada uma das três. **Preveja** a ordem, e
# arrisque as distâncias. Tudo é medido em imagens de teste; as frequências e o transformer vêm das
# imagens de treino.

# %%
with torch.no_grad():
    draw = run.vae.draw(x)
counts = torch.stack([known[:, t].bincount(minlength=16) + 0.5 for t in range(4)])  # (4, 16)
frequency = counts / counts.sum(1, keepdim=True)
lengths = {
    say("fixed length", "comprimento fixo"): torch.full((len(x),), 4 * np.log(16)),
    say("one symbol at a time", "um símbolo de cada vez"): -frequency.log()[
        torch.arange(4), words
    ].sum(1),
    say("learned prior", "a priori aprendida"): draw.rate,
}
for name, rate in lengths.items():
    print(f"{name:<24} R = {mean(rate)!s:<14} D + R = {mean(draw.distortion + rate)} nats")

# %% [markdown] en
# Frequencies alone save three nats. That may surprise you, as the perplexity was nearly 16: the
# codebook as a *whole* is used evenly, but each place of the word uses its own part. The
# transformer saves some more, because the symbols of one digit *belong together*. The bound on the
# likelihood improves by the same number of nats, without a change to encoder or decoder.
#
# The same three priors as samplers:

# %% [markdown] pt
# Só as frequências já economizam três nats. Isso pode surpreender, pois a perplexidade era quase
# 16: o codebook *inteiro* é usado por igual, mas cada posição da palavra usa a sua própria parte. O
# transformer economiza mais um pouco, porque os símbolos de um mesmo dígito *andam juntos*. O
# limite da verossimilhança melhora pelo mesmo número de nats, sem mudança alguma no codificador nem
# no decodificador.
#
# As mesmas três distribuições, como amostradores:

# %%
n, rng = 14, torch.Generator().manual_seed(1)
uniform = torch.randint(16, (n, 4), generator=rng)
single = torch.stack(
    [torch.multinomial(frequency[t], n, replacement=True, generator=rng) for t in range(4)], 1
)
made = [run.vae.decode(run.vae.encoder.vectors(indices)) for indices in (uniform, single)] + [
    run.vae.sample(n)
]
rows(dict(zip(lengths, map(picture, made))), look=look)

# %% [markdown] en
# Random words decode to mixtures of digits. Words of the learned prior look like one digit more
# often. (At 8×8 pixels, do not expect too much.)

# %% [markdown] pt
# Palavras aleatórias viram misturas de dígitos. Palavras da distribuição aprendida parecem um único
# dígito com mais frequência. (Com 8×8 pixels, não espere demais.)

# %% [markdown] en
# ## How large should the codebook be?
#
# More values per symbol allow better reconstructions. So, the more the better? **Predict** $D$, $R$
# and $D + R$ for $C = 4$, 16 and 64, with two seeds each.

# %% [markdown] pt
# ## De que tamanho deve ser o codebook?
#
# Mais valores por símbolo permitem reconstruções melhores. Então, quanto mais, melhor? **Preveja**
# $D$, $R$ e $D + R$ para $C = 4$, 16 e 64, com duas sementes cada.

# %%
SEEDS = range(2)
digits = run.data


def trained(settings):
    """A VAE of the digits after its training."""
    recipe = vaelab.recipe("quickstart", SETTINGS | settings)
    with seeded(recipe.train.seed, "weights"):
        vae = build(recipe.model, digits.shape)
    images = Batches(digits.train.x, digits.levels, recipe.data, torch.device("cpu"))
    for _ in vaelab.epochs(vaelab.Step(vae, recipe.objective), images, recipe.train):
        pass
    return vae


@torch.no_grad()
def measured(vae):
    """Distortion and rate, means over test images."""
    with seeded(0, "measured"):
        draw = vae.draw(x, k=5)
    return float(draw.distortion.mean()), float(draw.rate.mean())


def used(vae):
    """The perplexity of the codebook on training images."""
    indices = vae.encoder.indices(vae.encode(train))
    return perplexity(indices.flatten().bincount(minlength=len(vae.encoder.table)).double())


def different(vae):
    """How many different words name the training images."""
    return len(vae.encoder.indices(vae.encode(train)).unique(dim=0))


kept = {}
print(say("C      perplexity   words    ", "C      perplexidade palavras "), end="")
print("D               R               D + R")
for codes in (4, 16, 64):
    vaes = [
        trained({"model.variant": "vq-vae", "model.codes": codes, "train.seed": seed})
        for seed in SEEDS
    ]
    d, r = torch.tensor([measured(vae) for vae in vaes], dtype=torch.float64).T
    uses, count = (np.mean([f(vae) for vae in vaes]) for f in (used, different))
    print(f"{codes:<6} {uses:<12.1f} {count:<8.0f} {mean(d)!s:<15} {mean(r)!s:<15} {mean(d + r)}")
    if codes == 16:
        kept["vq-vae"] = vaes

# %% [markdown] en
# The distortion falls, as it must. The rate rises, and from 16 to 64 values it rises faster: with
# sixty-four values, the 1,455 training images have some 950 different words, so the transformer
# sees most of them only once and cannot predict them. On 1,455 images a larger alphabet means a
# *worse* model. With a million images it would be different. How large a codebook can be depends on
# how much data the prior has.

# %% [markdown] pt
# A distorção cai, como tem de ser. A taxa sobe, e de 16 para 64 valores sobe mais depressa: com
# sessenta e quatro valores, as 1.455 imagens de treino têm umas 950 palavras diferentes, e o
# transformer vê a maioria delas uma única vez e não consegue prevê-las. Com 1.455 imagens, um
# alfabeto maior significa um modelo *pior*. Com um milhão de imagens seria diferente. O tamanho que
# um codebook pode ter depende de quantos dados a distribuição a priori tem.

# %% [markdown] en
# ## No codebook at all: FSQ
#
# **Finite scalar quantisation** (Mentzer et al. 2024) asks: why learn a table? Squeeze each of two
# or three numbers into $[-1, 1]$ and round it to a few levels. The product of the levels is the
# alphabet: $5 \times 3$ levels are fifteen values. There is nothing that could die, no commitment,
# no running means; only the straight-through gradient stays. The picture shows the rounding of one
# number to five levels.

# %% [markdown] pt
# ## Sem codebook nenhum: FSQ
#
# A **quantização escalar finita** (Mentzer et al., 2024) pergunta: para que aprender uma tabela?
# Comprima cada um de dois ou três números em $[-1, 1]$ e arredonde-o para alguns níveis. O produto
# dos níveis é o alfabeto: $5 \times 3$ níveis são quinze valores. Não há nada que possa morrer, nem
# comprometimento, nem médias móveis; só resta o gradiente straight-through. A figura mostra o
# arredondamento de um número para cinco níveis.

# %%
e1 = torch.linspace(-3, 3, 601)
figure, ax = plt.subplots(figsize=(6.3, 2.0), layout="constrained")
ax.plot(e1, e1.tanh(), color="0.6", linewidth=1, label="tanh(e)")
ax.plot(
    e1,
    (2 * e1.tanh()).round() / 2,
    color=COLOURS[1],
    label=say("rounded to 5 levels", "arredondado para 5 níveis"),
)
ax.set(xlabel="e", ylabel="z")
ax.legend()
localise(ax, look)
plt.show()

# %% [markdown] en
# ## Soft symbols: Gumbel-softmax
#
# A third way keeps a *distribution* over the symbols: $q(z_t \mid x)$ is categorical, and a sample
# is random. The **Gumbel trick** generates it: add Gumbel noise $g$ to the logits and take the
# largest. Replace "the largest" by a softmax with temperature $\tau$, and the sample has a gradient
# (Jang, Gu & Poole 2017; Maddison, Mnih & Teh 2017):
#
# $$z_t = \operatorname{softmax}\big((\ell_t + g) / \tau\big) .$$
#
# Small $\tau$: nearly one symbol, and gradients that explode. Large $\tau$: smooth, but a mixture
# of symbols that is no symbol. Each column below is a sample from the same three-way distribution
# (60%, 30%, 10%).

# %% [markdown] pt
# ## Símbolos suaves: Gumbel-softmax
#
# Uma terceira maneira mantém uma *distribuição* sobre os símbolos: $q(z_t \mid x)$ é categórica, e
# a amostra é aleatória. O **truque de Gumbel** faz o sorteio: some ruído de Gumbel $g$ aos logits e
# fique com o maior. Troque "o maior" por um softmax com temperatura $\tau$, e a amostra passa a ter
# gradiente (Jang, Gu e Poole, 2017; Maddison, Mnih e Teh, 2017):
#
# $$z_t = \operatorname{softmax}\big((\ell_t + g) / \tau\big) .$$
#
# $\tau$ pequeno: quase um só símbolo, e gradientes que explodem. $\tau$ grande: suave, mas uma
# mistura de símbolos que não é símbolo nenhum. Cada coluna abaixo é uma amostra da mesma
# distribuição de três valores (60%, 30%, 10%).

# %%
logits = torch.tensor([0.6, 0.3, 0.1]).log().expand(24, 3)
figure, axes = plt.subplots(1, 3, figsize=(6.3, 1.9), sharey=True, layout="constrained")
for ax, tau in zip(axes, (0.1, 0.67, 3.0)):
    with seeded(0, "gumbel"):
        soft = gumbel_softmax(logits, tau).numpy()
    bottom = np.zeros(24)
    for part, colour in zip(soft.T, COLOURS):
        ax.bar(range(24), part, 1.0, bottom, color=colour)
        bottom += part
    ax.set(title=f"τ = {tau}".replace(".", say(".", ",")), xticks=[], ylim=(0, 1))
    localise(ax, look)
    ax.set_xticks([])
plt.show()

# %% [markdown] en
# ## Side by side
#
# We compare the same networks with the same number of symbols and nearly the same alphabet, two
# seeds each. `gumbel` trains faster, as its prior is uniform and has no transformer, so it gets
# sixty epochs and a warm-up of its rate. The last row is a Gaussian VAE with four dimensions,
# trained like `gumbel`.

# %% [markdown] pt
# ## Lado a lado
#
# Comparamos as mesmas redes com o mesmo número de símbolos e quase o mesmo alfabeto, duas sementes
# cada. `gumbel` treina mais depressa, pois sua distribuição a priori é uniforme e não tem
# transformer; por isso recebe sessenta épocas e um aquecimento da taxa. A última linha é um VAE
# gaussiano de quatro dimensões, treinado como o `gumbel`.

# %%
LONGER = {"train.epochs": 60, "train.learning_rate": 1e-2, "objective.warmup": 20.0}
ROWS = {
    "vq-vae": {},  # trained above
    "fsq": {"model.variant": "fsq"},
    "gumbel": LONGER | {"model.variant": "gumbel"},
    "vae, 4 dim.": LONGER | {"model.variant": "vae"},
}
print("             D               R               D + R")
for name, settings in ROWS.items():
    vaes = kept[name] = kept.get(name) or [
        trained(settings | {"train.seed": seed}) for seed in SEEDS
    ]
    d, r = torch.tensor([measured(vae) for vae in vaes], dtype=torch.float64).T
    print(f"{name:<12} {mean(d)!s:<15} {mean(r)!s:<15} {mean(d + r)}")

# %%
shown = {say("digits", "dígitos"): picture(x[:12])}
for name, (vae, _) in kept.items():
    shown[name + say(", rebuilt", ", reconstr.")] = picture(vae.reconstruct(x[:12]))
    shown[name + say(", sampled", ", amostras")] = picture(vae.sample(12))
rows(shown, look=look)

# %% [markdown] en
# What the table says, and what it does not:
#
# - **FSQ** buys more rate and gets a much lower distortion from the same number of symbols. In
#   $D + R$ it is level with VQ here, without a codebook to look after.
# - **Gumbel-softmax** has the lowest $D + R$ of the discrete ones: it is the only one whose encoder
#   is told the price of its code. For VQ and FSQ the gradient of the rate cannot pass the rounding.
# - The continuous VAE is a nat better still. Discrete codes are not *better* codes. They are codes
#   that other programs can read.
#
# Two seeds are few: differences below half a nat mean nothing here, and `vq-vae` and `fsq` had half
# as many epochs as the others. (On MNIST: [docs/models.md](../../models.md#measured-on-mnist).)

# %% [markdown] pt
# O que a tabela diz, e o que não diz:
#
# - O **FSQ** compra mais taxa e obtém uma distorção bem menor com o mesmo número de símbolos. Em
#   $D + R$ ele empata aqui com o VQ, sem um codebook de que cuidar.
# - O **Gumbel-softmax** tem o menor $D + R$ entre os discretos: é o único cujo codificador fica
#   sabendo o preço do código. No VQ e no FSQ, o gradiente da taxa não atravessa o arredondamento.
# - O VAE contínuo é ainda um nat melhor. Códigos discretos não são códigos *melhores*. São códigos
#   que outros programas sabem ler.
#
# Duas sementes são poucas: diferenças abaixo de meio nat não significam nada aqui, e `vq-vae` e
# `fsq` tiveram metade das épocas dos outros. (No MNIST:
# [docs/models.md](../../models.md#measured-on-mnist).)

# %% [markdown] en
# ## Codes for others
#
# Often the codes are the product: a second model is trained on them, as in latent diffusion. It
# needs to know their mean and scale, and how well they decode. `vaelab.codes` measures that for any
# run.

# %% [markdown] pt
# ## Códigos para os outros
#
# Muitas vezes os códigos são o produto: um segundo modelo é treinado com eles, como na difusão
# latente. Ele precisa conhecer a média e a escala dos códigos, e saber o quanto se perde ao
# decodificá-los. `vaelab.codes` mede isso para qualquer execução.

# %%
print("\n".join(str(vaelab.codes(run)["test"]).splitlines()[:5]))

# %% [markdown] en
# And the prior can be fitted again, with the words fixed: the second stage of every large model of
# this kind. During the training the transformer had to follow words that kept changing.

# %% [markdown] pt
# E a distribuição a priori pode ser ajustada de novo, com as palavras fixas: a segunda etapa de
# todo grande modelo desse tipo. Durante o treino, o transformer teve de seguir palavras que mudavam
# o tempo todo.

# %%
again = vaelab.fit_prior("runs/vq-vae", "autoregressive", steps=200, quiet=True)
gain, error = again.results["prior_gain"]
old, new = run.results["rate"], again.results["rate"]
print(f"R {old:.2f} → {new:.2f} nats,", say("gain", "ganho"), f"{gain:.2f} ± {error:.2f}")

# %% [markdown] en
# ## Exercises
#
# **1. Bits and images.** How many bits does a word of $T = 4$ symbols with $C = 16$ values have?
# How many bits per pixel is that? And with how many symbols could the code name every one of the
# 1,455 training images by a number, so that the decoder could memorise them?

# %% [markdown] pt
# ## Exercícios
#
# **1. Bits e imagens.** Quantos bits tem uma palavra de $T = 4$ símbolos com $C = 16$ valores?
# Quantos bits por pixel são? E com quantos símbolos o código poderia dar um número a cada uma das
# 1.455 imagens de treino, de modo que o decodificador pudesse memorizá-las?

# %% solution
print(say("bits of a word:", "bits de uma palavra:"), 4 * np.log2(16), end="   ")
print(say("per pixel:", "por pixel:"), 4 * np.log2(16) / 64)
print(say("symbols that number 1,455 images:", "símbolos para 1.455 imagens:"), end=" ")
print(int(np.ceil(np.log(1455) / np.log(16))))

# %% [markdown] en
# <details markdown="1"><summary>Discussion</summary>
#
# Three symbols have $16^3 = 4096$ words, enough for a number for every training image. A code of
# four symbols could therefore memorise the training set; that it does not is for the test images to
# show.
#
# </details>
#
# **2. The relaxed loss lies.** In training, `gumbel` decodes soft symbols. Measure the distortion
# of `kept["gumbel"][0]` in training mode (`vae.train()`) and in evaluation mode. Which of the two
# belongs to a bound, and why is the other lower?

# %% [markdown] pt
# <details markdown="1"><summary>Discussão</summary>
#
# Três símbolos têm $16^3 = 4096$ palavras, o bastante para dar um número a cada imagem de treino.
# Um código de quatro símbolos poderia, portanto, memorizar o conjunto de treino; se ele não o faz,
# são as imagens de teste que mostram.
#
# </details>
#
# **2. A perda relaxada engana.** No treino, `gumbel` decodifica símbolos suaves. Meça a distorção
# de `kept["gumbel"][0]` em modo de treino (`vae.train()`) e em modo de avaliação. Qual das duas
# pertence a um limite, e por que a outra é menor?

# %% solution
vae = kept["gumbel"][0]
hard = measured(vae)[0]
soft = measured(vae.train())[0]
vae.eval()
print(say("soft symbols:", "símbolos suaves:"), f"D = {soft:.2f},", end="  ")
print(say("hard symbols:", "símbolos duros:"), f"D = {hard:.2f}")
print(
    say(
        "A soft symbol carries real numbers, and so more than the rate that is charged\n"
        "for a symbol. Only the hard one belongs to a bound.",
        "Um símbolo suave carrega números reais, portanto mais do que a taxa que se\n"
        "cobra por um símbolo. Só o duro pertence a um limite.",
    )
)

# %% [markdown] en
# **3. Commitment.** The default of `model.commitment` is 0.25. Train `vq-vae` with 0 and with 4.
# Predict what happens to perplexity and distortion.

# %% [markdown] pt
# **3. Comprometimento.** O padrão de `model.commitment` é 0,25. Treine `vq-vae` com 0 e com 4.
# Preveja o que acontece com a perplexidade e a distorção.

# %% solution
several = {
    c: trained({"model.variant": "vq-vae", "model.commitment": c, "train.seed": 0})
    for c in (0.0, 4.0)
}
for commitment, vae in {0.0: several[0.0], 0.25: kept["vq-vae"][0], 4.0: several[4.0]}.items():
    d, r = measured(vae)
    print(say("commitment", "comprometimento"), f"{commitment:<5}", end=" ")
    print(say("perplexity", "perplexidade"), f"{used(vae):>4.1f}   D = {d:.2f}   R = {r:.2f}")
print(
    say(
        "Four ties the encoder to entries that are not good yet. Zero does little harm\n"
        "here, hardly more than another seed would.",
        "Quatro prende o codificador a entradas que ainda não são boas. Zero faz pouco\n"
        "mal aqui, pouco mais do que outra semente faria.",
    )
)

# %% [markdown] en
# **4. Does the order matter?** The transformer reads symbols from left to right. The order is
# arbitrary, as the encoder invented the symbols. Where are the nats of the learned prior spent?
# Compute $-\ln p(z_t \mid z_{<t})$ for each place from the differences of the costs of beginnings,
# or simply compare with counts: the entropy of the first symbol alone, and of the fourth given the
# first.

# %% [markdown] pt
# **4. A ordem importa?** O transformer lê os símbolos da esquerda para a direita. A ordem é
# arbitrária, pois o codificador inventou os símbolos. Onde são gastos os nats da distribuição
# aprendida? Calcule $-\ln p(z_t \mid z_{<t})$ para cada posição pelas diferenças dos custos dos
# começos, ou simplesmente compare com contagens: a entropia do primeiro símbolo sozinho, e a do
# quarto dado o primeiro.


# %% solution
def entropy(counts):
    """Entropy of counts (...), in nats, over all of them."""
    share = counts.double().flatten() / counts.sum()
    return float(-(share[share > 0] * share[share > 0].log()).sum())


pairs = torch.zeros(16, 16).index_put_(
    (known[:, 0], known[:, 3]), torch.ones(len(known)), accumulate=True
)
first, fourth, both = entropy(pairs.sum(1)), entropy(pairs.sum(0)), entropy(pairs)
print(f"H(z1) = {first:.2f}   H(z4) = {fourth:.2f}   H(z4 | z1) = {both - first:.2f} nats")
print(say("saved by knowing z1:", "economia por conhecer z1:"), f"{first + fourth - both:.2f} nats")
print(
    say(
        "Any order would do: by the chain rule, the costs of the symbols given those\n"
        "before them add up to the same -ln p(z). The first symbol pays in full.",
        "Qualquer ordem serve: pela regra da cadeia, os custos dos símbolos dados os\n"
        "anteriores somam o mesmo -ln p(z). O primeiro símbolo paga o preço cheio.",
    )
)

# %% [markdown] en
# ## On MNIST
#
# Run `vaelab train vq-vae` and `vaelab train fsq`. They train 8 symbols of 256 values, or 6 of 240,
# on binarised MNIST, some minutes each on two cores. Expect $D + R$ near 100 and 104 nats with a
# rate of 25 and 28 nats, against $8 \ln 256 = 44$ nats of a fixed length; most samples are readable
# digits.
#
# In this notebook, add two lines after `SETTINGS`:
#
# ```python
# SETTINGS |= {"data.source": "mnist", "data.treatment": "dynamic"}
# SETTINGS |= {"model.latent": 8, "model.codes": 256, "model.hidden": [512]}
# ```
#
# and replace `/ 16` by `/ 255`, `16` by `256` and `4` by `8` where they count symbols.

# %% [markdown] pt
# ## No MNIST
#
# Rode `vaelab train vq-vae` e `vaelab train fsq`. Eles treinam 8 símbolos de 256 valores, ou 6 de
# 240, no MNIST binarizado, alguns minutos cada em dois núcleos. Espere $D + R$ perto de 100 e 104
# nats, com taxa de 25 e 28 nats, contra $8 \ln 256 = 44$ nats de comprimento fixo; a maioria das
# amostras são dígitos legíveis.
#
# Neste notebook, acrescente duas linhas depois de `SETTINGS`:
#
# ```python
# SETTINGS |= {"data.source": "mnist", "data.treatment": "dynamic"}
# SETTINGS |= {"model.latent": 8, "model.codes": 256, "model.hidden": [512]}
# ```
#
# e troque `/ 16` por `/ 255`, `16` por `256` e `4` por `8` onde eles contam símbolos.

# %% [markdown] en
# ## Citing and further reading
#
# `vaelab cite RUN` prints BibTeX entries for what a run used; vaelab itself is in `CITATION.cff`.
#
# - van den Oord, Vinyals & Kavukcuoglu 2017, *Neural discrete representation learning* (VQ-VAE),
#   arXiv:1711.00937.
# - Mentzer, Minnen, Agustsson & Tschannen 2024, *Finite scalar quantization: VQ-VAE made simple*,
#   arXiv:2309.15505.
# - Jang, Gu & Poole 2017, *Categorical reparameterization with Gumbel-softmax*, arXiv:1611.01144.
# - Maddison, Mnih & Teh 2017, *The concrete distribution*, arXiv:1611.00712.
# - Bengio, Léonard & Courville 2013, *Estimating or propagating gradients through stochastic
#   neurons* (straight-through), arXiv:1308.3432.
# - Razavi, van den Oord & Vinyals 2019, *Generating diverse high-fidelity images with VQ-VAE-2*,
#   arXiv:1906.00446.
# - Esser, Rombach & Ommer 2021, *Taming transformers for high-resolution image synthesis*,
#   arXiv:2012.09841.
# - Rombach et al. 2022, *High-resolution image synthesis with latent diffusion models*,
#   arXiv:2112.10752.
#
# This was the last lesson. [docs/models.md](../../models.md) lists all the variants that vaelab
# has, and [docs/extending.md](../../extending.md) shows how to add your own.

# %% [markdown] pt
# ## Como citar e leituras
#
# `vaelab cite RUN` mostra as entradas BibTeX do que uma execução usou; o próprio vaelab está em
# `CITATION.cff`.
#
# - van den Oord, Vinyals & Kavukcuoglu 2017, *Neural discrete representation learning* (VQ-VAE),
#   arXiv:1711.00937.
# - Mentzer, Minnen, Agustsson & Tschannen 2024, *Finite scalar quantization: VQ-VAE made simple*,
#   arXiv:2309.15505.
# - Jang, Gu & Poole 2017, *Categorical reparameterization with Gumbel-softmax*, arXiv:1611.01144.
# - Maddison, Mnih & Teh 2017, *The concrete distribution*, arXiv:1611.00712.
# - Bengio, Léonard & Courville 2013, *Estimating or propagating gradients through stochastic
#   neurons* (straight-through), arXiv:1308.3432.
# - Razavi, van den Oord & Vinyals 2019, *Generating diverse high-fidelity images with VQ-VAE-2*,
#   arXiv:1906.00446.
# - Esser, Rombach & Ommer 2021, *Taming transformers for high-resolution image synthesis*,
#   arXiv:2012.09841.
# - Rombach et al. 2022, *High-resolution image synthesis with latent diffusion models*,
#   arXiv:2112.10752.
#
# Esta foi a última lição. [docs/models.md](../../models.md) lista todas as variantes do vaelab, e
# [docs/extending.md](../../extending.md) mostra como acrescentar as suas (em inglês).
