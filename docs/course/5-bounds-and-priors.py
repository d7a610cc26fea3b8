# %% [markdown] en
# # 5. Better bounds and priors
#
# The ELBO is a bound. This lesson looks at what lies between it and $\log p(x)$, and at the two
# ways to close the gap: a better use of $q(z\mid x)$, and a better $p(z)$.
#
# You will learn
#
# - how wide the gap is, in a model where $\log p(x)$ is known exactly;
# - importance weights: how $K$ samples close the gap, how fast, and how to see when they fail;
# - why a tighter bound can be a worse teacher for the encoder;
# - what is wrong with the prior $\mathcal N(0, I)$, and how to replace it after the training, in a
#   second.
#
# You need lessons 2 and 3. Everything runs on small data in about half a minute.

# %% [markdown] pt
# # 5. Limites e distribuições a priori melhores
#
# O ELBO é um limite inferior. Esta lição examina o que há entre ele e $\log p(x)$, e as duas
# maneiras de fechar essa folga: usar melhor $q(z\mid x)$, e ter uma $p(z)$ melhor.
#
# Você vai aprender
#
# - o tamanho da folga, em um modelo em que $\log p(x)$ é conhecido com exatidão;
# - pesos de importância: como $K$ amostras fecham a folga, com que rapidez, e como perceber quando
#   falham;
# - por que um limite mais justo pode ensinar pior o codificador;
# - o que há de errado com a distribuição a priori $\mathcal N(0, I)$, e como substituí-la depois do
#   treino, em um segundo.
#
# Você precisa das lições 2 e 3. Tudo roda com dados pequenos em cerca de meio minuto.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.distributions import Bernoulli, Independent, Normal

import vaelab
from vaelab.data import Batches, load
from vaelab.evaluation import mean
from vaelab.evaluation.quadrature import quadrature
from vaelab.models import Draw, build
from vaelab.models.objectives import dreg, elbo, iwae, stl
from vaelab.plots import COLOURS, Look, localise, picture, rows
from vaelab.seeding import seeded

LANG = "en"
look = Look(LANG)
plt.rcParams.update(look.rc | {"text.parse_math": True})
torch.set_num_threads(1)


def say(en, pt):
    """The text in the language of this notebook."""
    return {"en": en, "pt": pt}[LANG]


# %%
SETTINGS = {
    "data.treatment": "threshold",
    "model.likelihood": "bernoulli",
    "model.hidden": [128],
    "model.latent": 8,
    "train.epochs": 40,
    "train.batch": 128,
    "train.learning_rate": 5e-3,
}


def trained(settings):
    """A VAE of the digits after its training."""
    recipe = vaelab.recipe("quickstart", SETTINGS | settings)
    with seeded(recipe.train.seed, "weights"):
        vae = build(recipe.model, digits.shape)
    images = Batches(digits.train.x, digits.levels, recipe.data, torch.device("cpu"))
    for _ in vaelab.epochs(vaelab.Step(vae, recipe.objective), images, recipe.train):
        pass
    return vae


digits = load(vaelab.recipe("quickstart", SETTINGS).data)
x = (digits.test.x / 16 >= 0.5).float()  # (180, 8, 8), black and white

# %% [markdown] en
# ## The gap
#
# For every image, the gap of the ELBO is exactly a divergence (lesson 2):
#
# $$\log p(x) \;=\; \text{ELBO}(x) \;+\; \mathrm{KL}\big(q(z\mid x)\,\|\,p(z\mid x)\big) .$$
#
# In words: you lose as many nats as separate your Gaussian $q$ from the true posterior. The formula
# is of little use in general, because nobody knows the true posterior. But with **two** latent
# dimensions we can compute it. We lay a fine grid over the plane and add up $p(z)\,p(x\mid z)$:
# numerical quadrature. `vaelab.evaluation.quadrature` refines the grid until nothing changes, and
# says by how much the last refinement changed it.

# %% [markdown] pt
# ## A folga
#
# Para cada imagem, a folga do ELBO é exatamente uma divergência (lição 2):
#
# $$\log p(x) \;=\; \text{ELBO}(x) \;+\; \mathrm{KL}\big(q(z\mid x)\,\|\,p(z\mid x)\big) .$$
#
# Em palavras: você perde tantos nats quantos separam a sua gaussiana $q$ da posterior verdadeira.
# Em geral a fórmula ajuda pouco, porque ninguém conhece a posterior verdadeira. Mas com **duas**
# dimensões latentes nós podemos conhecê-la. Colocamos uma grade fina sobre o plano e somamos
# $p(z)\,p(x\mid z)$: quadratura numérica. `vaelab.evaluation.quadrature` refina a grade até nada
# mais mudar, e diz quanto o último refinamento mudou.

# %%
plane = trained({"model.latent": 2})
some = x[:100]
exact, change = quadrature(plane, some)  # log p(x) of each image, (100,), in nats
with torch.no_grad(), seeded(0, "samples"):
    draw = plane.draw(some, k=4096)  # 4096 samples of q(z|x) for each image
bound = elbo(draw).double()
gap = exact - bound
print(say("log p(x), exact:", "log p(x), exato:"), mean(exact), end="   ")
print(say("(last refinement: below", "(último refinamento: abaixo de"), f"{change.max():.0e} nats)")
print("ELBO:           ", mean(bound))
print(say("gap:            ", "folga:          "), mean(gap), end="   ")
print(say("from", "de"), f"{gap.min():.2f}", say("to", "a"), f"{gap.max():.2f}")

# %% [markdown] en
# Look at the standard errors. Images differ by several nats from each other, so both means are
# uncertain by half a nat. But the gap is computed image by image, and the differences between
# images cancel: it is known twenty times better. **Compare models by paired differences.** vaelab's
# `compare` always does.
#
# The picture shows three images: the smallest gap, the median one and the largest. Colours are the
# true posterior on the grid, ellipses are $q$ at one and two standard deviations.

# %% [markdown] pt
# Observe os erros padrão. As imagens diferem entre si por vários nats, e por isso as duas médias
# têm uma incerteza de meio nat. Mas a folga é calculada imagem por imagem, e as diferenças entre as
# imagens se cancelam: ela é conhecida com vinte vezes mais precisão. **Compare modelos por
# diferenças pareadas.** O `compare` do vaelab sempre faz isso.
#
# A figura mostra três imagens: a de menor folga, a mediana e a de maior folga. As cores são a
# posterior verdadeira na grade; as elipses são $q$ a um e a dois desvios padrão.

# %%
order = gap.argsort()
chosen = [int(order[0]), int(order[len(order) // 2]), int(order[-1])]
axis = torch.linspace(-1.5, 1.5, 121)
grid = torch.cartesian_prod(axis, axis)  # (121², 2)
with torch.no_grad():
    q = plane.encoder(some[chosen])
figure, axes = plt.subplots(1, 3, figsize=(6.3, 2.3), layout="constrained")
turn = torch.linspace(0, 2 * torch.pi, 100)
for ax, i, m, s in zip(axes, chosen, q.mean, q.stddev):
    z = m + grid  # a window about the mean of q
    with torch.no_grad():
        log_f = plane.decoder(z).log_prob(some[i]) + plane.prior().log_prob(z)
    density = (log_f - log_f.max()).exp().view(121, 121).T
    ax.imshow(
        density,
        origin="lower",
        extent=(m[0] - 1.5, m[0] + 1.5, m[1] - 1.5, m[1] + 1.5),
        cmap="Blues",
    )
    for radius in (1, 2):
        ax.plot(
            m[0] + radius * s[0] * turn.cos(),
            m[1] + radius * s[1] * turn.sin(),
            color=COLOURS[0],
            linewidth=1,
        )
    ax.set(
        title=say("gap", "folga") + f" {gap[i]:.2f} nats".replace(".", say(".", ",")),
        xlabel="z1",
        aspect="equal",
    )
    localise(ax, look)
axes[0].set(ylabel="z2")
plt.show()

# %% [markdown] en
# On the left, $q$ is nearly right. On the right two things go wrong. The true posterior is tilted,
# and a Gaussian with independent dimensions cannot tilt. And $q$ is not even in the best place: one
# network must serve all images, and this one it serves badly. The two parts of the gap are called
# *approximation* and *amortisation* gap (Cremer, Li & Duvenaud 2018).

# %% [markdown] pt
# À esquerda, $q$ está quase certa. À direita, duas coisas dão errado. A posterior verdadeira é
# inclinada, e uma gaussiana com dimensões independentes não consegue se inclinar. E $q$ nem está no
# melhor lugar: uma única rede precisa servir a todas as imagens, e a esta ela serve mal. As duas
# partes da folga se chamam folga de *aproximação* e folga de *amortização* (Cremer, Li e Duvenaud,
# 2018).

# %% [markdown] en
# ## Many samples instead of one
#
# Draw $K$ samples $z_k \sim q(z\mid x)$, and give each a **weight**: how much more likely it is
# under the model than under $q$,
#
# $$w_k = \frac{p(x, z_k)}{q(z_k \mid x)} .$$
#
# The mean weight is an unbiased estimate of $p(x)$, whatever $q$ is. Take the logarithm of the
# mean:
#
# $$L_K = \mathbb E\Big[\log \tfrac1K \sum_{k=1}^{K} w_k\Big],
# \qquad \text{ELBO} = L_1 \le L_2 \le \dots \le \log p(x) .$$
#
# This is the bound of the importance weighted autoencoder, IWAE (Burda, Grosse & Salakhutdinov
# 2016). It is below $\log p(x)$ because the logarithm is concave: a mean that fluctuates has a
# lower logarithm, on average, than its expectation.
#
# **Predict how fast it closes.** Expand the logarithm around 1. With $v$ the variance of
# $w / p(x)$, the mean of $K$ weights has the variance $v/K$, and
#
# $$\log p(x) - L_K \;\approx\; \frac{v}{2K} .$$
#
# Ten times the samples, a tenth of the gap: a straight line of slope −1 on logarithmic axes. But
# only if $v$ is finite, and $K$ is large enough.

# %% [markdown] pt
# ## Muitas amostras em vez de uma
#
# Sorteie $K$ amostras $z_k \sim q(z\mid x)$, e dê a cada uma um **peso**: quantas vezes ela é mais
# provável sob o modelo do que sob $q$,
#
# $$w_k = \frac{p(x, z_k)}{q(z_k \mid x)} .$$
#
# A média dos pesos é uma estimativa não viesada de $p(x)$, qualquer que seja $q$. Tome o logaritmo
# da média:
#
# $$L_K = \mathbb E\Big[\log \tfrac1K \sum_{k=1}^{K} w_k\Big],
# \qquad \text{ELBO} = L_1 \le L_2 \le \dots \le \log p(x) .$$
#
# Esse é o limite do autoencoder com pesos de importância, IWAE (Burda, Grosse e Salakhutdinov,
# 2016). Ele fica abaixo de $\log p(x)$ porque o logaritmo é côncavo: uma média que flutua tem, em
# média, um logaritmo menor do que o da sua esperança.
#
# **Preveja a rapidez com que ele se fecha.** Expanda o logaritmo em torno de 1. Se $v$ é a
# variância de $w / p(x)$, a média de $K$ pesos tem variância $v/K$, e
#
# $$\log p(x) - L_K \;\approx\; \frac{v}{2K} .$$
#
# Dez vezes mais amostras, um décimo da folga: uma reta de inclinação −1 em eixos logarítmicos. Mas
# só se $v$ for finita, e $K$ grande o bastante.

# %%
log_w = draw.log_weight.double()  # (4096, 100)


def bounds(log_weight, k):
    """L_K of each image, (N,): the mean over all groups of k samples."""
    groups = log_weight.unflatten(0, (-1, k))  # (4096 / k, k, N)
    return (groups.logsumexp(1) - np.log(k)).mean(0)


COUNTS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
gaps = {k: mean(exact - bounds(log_w, k)) for k in COUNTS}
v = (log_w - exact).exp().var(0)
print("   K    log p(x) - L_K      " + say("predicted by v / 2K", "previsto por v / 2K"))
for k in COUNTS:
    print(f"{k:>4}    {gaps[k]!s:<18}  {(v / 2 / k).mean():.4f}")

# %% [markdown] en
# The bound tightens with every sample and arrives at the exact value: at $K = 512$ some thousandths
# of a nat are missing. So $-L_K$ with a large $K$ is how papers report $-\log p(x)$.
# `vae.score_samples(x, samples=K)` computes it for any number of dimensions, and `vaelab evaluate`
# reports it as `nll`.
#
# But the prediction is **wrong**, twenty times too high at first and still too high at the end. The
# derivation had a condition. Which images break it?

# %% [markdown] pt
# O limite se aperta a cada amostra e chega ao valor exato: com $K = 512$ faltam uns milésimos de
# nat. Por isso os artigos informam $-\log p(x)$ como $-L_K$ com $K$ grande.
# `vae.score_samples(x, samples=K)` o calcula para qualquer número de dimensões, e `vaelab evaluate`
# o informa como `nll`.
#
# Mas a previsão está **errada**: vinte vezes alta demais no começo, e ainda alta demais no fim. A
# dedução tinha uma condição. Quais imagens a violam?

# %% [markdown] en
# ### When do the weights fail?
#
# A single sample can have nearly all the weight; then $K$ samples are worth as much as one. The
# **effective sample size** tells you:
#
# $$\text{ESS} = \frac{\big(\sum_k w_k\big)^2}{\sum_k w_k^2}, \qquad 1 \le \text{ESS} \le K .$$
#
# It is $K$ if all weights are equal (then $q$ is the true posterior) and 1 if one weight is all
# there is. **Predict:** which image of the three above has the lowest ESS?

# %% [markdown] pt
# ### Quando os pesos falham?
#
# Uma única amostra pode ficar com quase todo o peso; então $K$ amostras valem tanto quanto uma. O
# **tamanho efetivo da amostra** avisa:
#
# $$\text{ESS} = \frac{\big(\sum_k w_k\big)^2}{\sum_k w_k^2}, \qquad 1 \le \text{ESS} \le K .$$
#
# Ele é $K$ se todos os pesos são iguais (então $q$ é a posterior verdadeira), e 1 se um único peso
# é tudo o que há. **Preveja:** qual das três imagens acima tem o menor ESS?

# %%
ess = (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp() / len(log_w)  # as a share of K
figure, (left, right) = plt.subplots(1, 2, figsize=(6.3, 2.5), layout="constrained")
left.scatter(gap, ess, 10, color="0.6")
for i, colour in zip(chosen, COLOURS):
    share = (log_w[:, i] - log_w[:, i].logsumexp(0)).exp().sort(descending=True).values.cumsum(0)
    name = say("gap", "folga") + f" {gap[i]:.2f}".replace(".", say(".", ","))
    right.plot(np.arange(1, len(share) + 1) / len(share), share, color=colour, label=name)
    left.scatter(gap[i], ess[i], 30, color=colour)
right.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
left.set(
    xlabel=say("gap of the ELBO (nats)", "folga do ELBO (nats)"), ylabel="ESS / K", ylim=(0, 1.02)
)
right.set(
    xlabel=say(
        "share of the samples, heaviest first", "fração das amostras, as mais pesadas primeiro"
    ),
    ylabel=say("share of the weight", "fração do peso"),
)
right.legend()
localise(left, look)
localise(right, look)
plt.show()
print(say("ESS / K: median", "ESS / K: mediana"), f"{ess.median():.2f},", end=" ")
print(say("smallest", "menor"), f"{ess.min():.3f}")

# %% [markdown] en
# The coloured points are the three images of the picture before. Most images are fine: about half
# of the samples count. But for a few, the ESS is near zero. There $q$ is much narrower than the
# posterior in some direction. Now and then a sample falls far out and gets an enormous weight, and
# the variance $v$ is practically infinite. Those few images ruin the mean of $v$.
#
# So ask again, for the two halves separately: the fifty images with the larger ESS, and the other
# fifty. (One trick makes the small numbers steady. Let $u$ be the mean weight divided by $p(x)$,
# which we know. Its expectation is 1, so the gap $-\mathbb E[\log u]$ equals
# $\mathbb E[u - 1 - \log u]$, which fluctuates much less.)

# %% [markdown] pt
# Os pontos coloridos são as três imagens da figura anterior. A maioria das imagens está bem: cerca
# de metade das amostras conta. Mas em algumas o ESS é quase zero. Ali $q$ é muito mais estreita do
# que a posterior em alguma direção. De vez em quando uma amostra cai bem longe e recebe um peso
# enorme, e a variância $v$ é praticamente infinita. Essas poucas imagens estragam a média de $v$.
#
# Então pergunte de novo, para as duas metades em separado: as cinquenta imagens com o maior ESS, e
# as outras cinquenta. (Um truque dá firmeza aos números pequenos. Seja $u$ o peso médio dividido
# por $p(x)$, que conhecemos. A esperança dele é 1, e por isso a folga $-\mathbb E[\log u]$ é igual
# a $\mathbb E[u - 1 - \log u]$, que flutua muito menos.)

# %%
good = ess >= ess.median()
figure, axes = plt.subplots(1, 2, figsize=(6.3, 2.7), sharey=True, layout="constrained")
titles = say("larger ESS", "maior ESS"), say("smaller ESS", "menor ESS")
for ax, half, title in zip(axes, (good, ~good), titles):
    u = [(log_w - exact)[:, half].exp().unflatten(0, (-1, k)).mean(1) for k in COUNTS]
    steady = [mean((one - 1 - one.log()).mean(0)) for one in u]
    values, errors = [g.value for g in steady], [2 * g.error for g in steady]
    name = say("measured, ± 2 standard errors", "medido, ± 2 erros padrão")
    ax.errorbar(COUNTS, values, errors, fmt="o", color=COLOURS[1], markersize=4, label=name)
    ax.plot(
        COUNTS,
        [v[half].mean() / 2 / k for k in COUNTS],
        color=COLOURS[0],
        linewidth=1,
        label="v / 2K",
    )
    ax.set(xscale="log", yscale="log", xlabel="K", title=title, ylim=(1e-4, 20))
    print(f"{title}, K = 32:", say("measured", "medido"), f"{steady[5]},", end=" ")
    print(say("predicted", "previsto"), f"{v[half].mean() / 64:.4f}")
axes[0].set(ylabel=say("gap (nats)", "folga (nats)"))
axes[0].legend()
plt.show()

# %% [markdown] en
# For the good half, theory and experiment agree from $K = 1$ to 512. For the other half the gap
# closes more slowly, and no formula tells you how slowly. **Look at the ESS before you trust a
# bound.**

# %% [markdown] pt
# Na metade boa, teoria e experimento concordam de $K = 1$ a 512. Na outra metade a folga se fecha
# mais devagar, e nenhuma fórmula diz o quanto. **Olhe o ESS antes de confiar em um limite.**

# %% [markdown] en
# ## Training with the tighter bound
#
# If $L_K$ is tighter, why not maximise it? That is IWAE. Think about what changes for the encoder.
# The ELBO wants every single sample to be good, so $q$ stays where the posterior density is high.
# $L_K$ wants *one good sample among K*, so $q$ may spread.
#
# **Predict** what happens to these three numbers when we train with $K = 10$ instead of $K = 1$:
# the ELBO of the trained model, its $-\log p(x)$, and the gap between them.
#
# Three objectives, three seeds each, eight latent dimensions: the ELBO, IWAE, and DReG (Tucker et
# al. 2019), which has the bound of IWAE and another estimate of its gradient; we come to that.

# %% [markdown] pt
# ## Treinar com o limite mais justo
#
# Se $L_K$ é mais justo, por que não maximizá-lo? Isso é o IWAE. Pense no que muda para o
# codificador. O ELBO quer que cada amostra seja boa, e por isso $q$ fica onde a densidade da
# posterior é alta. $L_K$ quer *uma boa amostra entre K*, e por isso $q$ pode se espalhar.
#
# **Preveja** o que acontece com estes três números quando treinamos com $K = 10$ em vez de $K = 1$:
# o ELBO do modelo treinado, o seu $-\log p(x)$, e a folga entre os dois.
#
# Três objetivos, três sementes cada, oito dimensões latentes: o ELBO, o IWAE, e o DReG (Tucker et
# al. 2019), que tem o limite do IWAE e outra estimativa do gradiente dele; já chegamos lá.

# %%
ROWS = {
    "vae": {},
    "iwae, K = 10": {"model.variant": "iwae", "objective.k": 10},
    "dreg, K = 10": {"model.variant": "dreg", "objective.k": 10},
}
SEEDS = range(3)


@torch.no_grad()
def judged(vae):
    """-ELBO and -log p(x), means over test images."""
    with seeded(0, "judged"):
        minus_elbo = -elbo(vae.draw(x, k=20)).mean()
    return float(minus_elbo), -float(vae.score_samples(x, samples=500).mean())


plain = None  # -ELBO and -log p(x) of the VAE by seed, (seeds, 2)
gap_is, against = say("gap", "folga"), say("-log p(x) against the vae", "-log p(x) contra o vae")
print(f"{'':<14} {'-ELBO':<16} {'-log p(x)':<16} {gap_is:<15} {against}")


def line(name, settings):
    """Train with every seed and print a row of the table; differences are paired by seed."""
    global plain
    found = torch.tensor(
        [judged(trained(settings | {"train.seed": seed})) for seed in SEEDS], dtype=torch.float64
    )
    cells = [str(mean(values)) for values in (found[:, 0], found[:, 1], found[:, 0] - found[:, 1])]
    against = "" if plain is None else mean(found[:, 1] - plain[:, 1])
    plain = found if plain is None else plain
    print(f"{name:<14} {cells[0]:<16} {cells[1]:<16} {cells[2]:<15} {against}")


for name, settings in ROWS.items():
    line(name, settings)

# %% [markdown] en
# The model of IWAE has the *worse* ELBO and the *better* likelihood. Its gap is wide on purpose.
# Two lessons:
#
# - a model that was trained with $L_K$ must be judged by $L_K$, never by the ELBO;
# - "the ELBO got worse" is not yet bad news.

# %% [markdown] pt
# O modelo do IWAE tem o *pior* ELBO e a *melhor* verossimilhança. A folga dele é larga de
# propósito. Duas lições:
#
# - um modelo treinado com $L_K$ deve ser julgado por $L_K$, nunca pelo ELBO;
# - "o ELBO piorou" ainda não é má notícia.

# %% [markdown] en
# ## A tighter bound is a quieter teacher
#
# One would think that more samples cannot hurt. Rainforth et al. (2018) showed that they do hurt
# the *encoder*. As $K$ grows, the bound depends less and less on $q$: at $K = \infty$ it is $\log
# p(x)$, whatever the encoder does. So the gradient for the encoder shrinks, like $1/K$. Its noise
# shrinks only like $1/\sqrt K$. What counts for learning is the ratio, the **signal-to-noise
# ratio** of a gradient,
#
# $$\text{SNR} = \frac{|\,\text{mean}\,|}{\text{standard deviation}} .$$
#
# The prediction: $\text{SNR} \propto 1/\sqrt K$ for the encoder, and $\propto \sqrt K$ for the
# decoder.
#
# To see it, we take one image and a model after a single epoch, and repeat the gradient a thousand
# times with new noise. All repetitions are one batch of a thousand copies, so one backward pass is
# enough. For the encoder we look at the gradient of its outputs, $\mu$ and $\sigma$. For the
# decoder we look at the gradient of a bias that is added to each pixel's logit.

# %% [markdown] pt
# ## Um limite mais justo é um professor mais quieto
#
# Seria de pensar que mais amostras não atrapalham. Rainforth et al. (2018) mostraram que elas
# atrapalham o *codificador*. Quando $K$ cresce, o limite depende cada vez menos de $q$: com $K =
# \infty$ ele é $\log p(x)$, faça o codificador o que fizer. Logo o gradiente do codificador
# encolhe, como $1/K$. O ruído dele encolhe só como $1/\sqrt K$. O que conta para aprender é a
# razão, a **relação sinal-ruído** (SNR) de um gradiente,
#
# $$\text{SNR} = \frac{|\,\text{média}\,|}{\text{desvio padrão}} .$$
#
# A previsão: $\text{SNR} \propto 1/\sqrt K$ para o codificador, e $\propto \sqrt K$ para o
# decodificador.
#
# Para ver isso, tomamos uma imagem e um modelo depois de uma única época, e repetimos o gradiente
# mil vezes com ruído novo. Todas as repetições são um só lote de mil cópias, então basta uma
# passagem para trás. Para o codificador, olhamos o gradiente das suas saídas, $\mu$ e $\sigma$.
# Para o decodificador, olhamos o gradiente de um viés somado ao logit de cada pixel.

# %%
young = trained({"model.latent": 2, "train.epochs": 1})
REPEATS, KS = 1000, [1, 4, 16, 64, 256]


def ratios(objective, k, vae):
    """SNR of the gradients at the encoder's outputs and at the decoder's logits."""
    with torch.no_grad():
        q = vae.encoder(x[:1])
    m = q.mean.expand(REPEATS, 2).clone().requires_grad_()
    s = q.stddev.expand(REPEATS, 2).clone().requires_grad_()
    bias = torch.zeros(REPEATS, x[0].numel(), requires_grad=True)
    copies = Independent(Normal(m, s), 1)
    with seeded(k, "gradients"):
        z = copies.rsample((k,))  # (k, repeats, 2)
    logits = vae.decoder.network(z.flatten(0, 1)).view(k, REPEATS, -1) + bias
    log_px = Bernoulli(logits=logits).log_prob(x[0].flatten()).sum(-1)
    objective(Draw(z, log_px, copies, vae.prior())).sum().backward()
    gradients = torch.cat([m.grad, s.grad], 1), bias.grad
    return [float((g.mean(0).abs() / g.std(0)).mean()) for g in gradients]


snr = {
    name: np.array([ratios(objective, k, young) for k in KS])
    for name, objective in (("IWAE", iwae), ("DReG", dreg))
}
figure, ax = plt.subplots(figsize=(6.3, 2.7), layout="constrained")
ax.plot(
    KS,
    snr["IWAE"][:, 1],
    "o-",
    color=COLOURS[2],
    markersize=4,
    label=say("decoder, IWAE", "decodificador, IWAE"),
)
ax.plot(
    KS,
    snr["DReG"][:, 0],
    "o-",
    color=COLOURS[1],
    markersize=4,
    label=say("encoder, DReG", "codificador, DReG"),
)
ax.plot(
    KS,
    snr["IWAE"][:, 0],
    "o-",
    color=COLOURS[3],
    markersize=4,
    label=say("encoder, IWAE", "codificador, IWAE"),
)
ax.plot(
    KS,
    snr["IWAE"][0, 0] * np.array(KS) ** -0.5,
    color="0.6",
    linestyle="--",
    linewidth=1,
    label=say("falls as 1/√K", "cai como 1/√K"),
)
ax.axhline(
    (2 / np.pi / REPEATS) ** 0.5,
    color="0.8",
    linewidth=1,
    label=say("what noise alone gives", "o que o ruído sozinho dá"),
)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="K",
    ylabel="SNR",
    title=say("Signal-to-noise ratio of the gradients", "Relação sinal-ruído dos gradientes"),
)
ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()
for name, values in snr.items():
    print(name, say(" encoder:", " codificador:"), values[:, 0].round(2), end="   ")
    print(say("decoder:", "decodificador:"), values[:, 1].round(2))

# %% [markdown] en
# The decoder gets clearer lessons with every sample. The encoder of IWAE gets less clear ones.
# **DReG** has the same bound and the same expected gradient; it only writes the encoder's part so
# that the noise cancels, and for large $K$ its ratio grows. It costs the same, and has the best
# line of the table above, if only just: with $K = 10$ the difference from IWAE is not much larger
# than its error. The variant `stl` (Roeder et al. 2017) does the same for $K = 1$.

# %% [markdown] pt
# O decodificador recebe lições mais claras a cada amostra. O codificador do IWAE, menos claras. O
# **DReG** tem o mesmo limite e o mesmo gradiente esperado; ele só escreve a parte do codificador de
# modo que o ruído se cancele, e para $K$ grande a sua razão cresce. O custo é o mesmo, e ele tem a
# melhor linha da tabela acima, embora por pouco: com $K = 10$ a diferença para o IWAE não passa
# muito do erro. A variante `stl` (Roeder et al., 2017) faz o mesmo para $K = 1$.

# %% [markdown] en
# ## The other end: the prior
#
# So far we improved how the code is *inferred*. Now we turn to the place where samples come from.
# Average the rate over the data and split it (Hoffman & Johnson 2016), with $q(z)$ the **aggregate
# posterior**, the distribution of the codes of all images together:
#
# $$R = I(x; z) + \mathrm{KL}\big(q(z)\,\|\,p(z)\big) .$$
#
# The first part is information, and worth its price. The second part is pure waste: the prior
# expects codes where there are none, and the decoder was never trained there. It measures the holes
# of lesson 1 in nats. No other term of the ELBO contains the prior, so **the best prior is the
# aggregate posterior itself** (Tomczak & Welling 2018).
#
# We can have it in two ways: learn the prior *during* the training (a mixture; or the VampPrior, a
# mixture of the posteriors of learned pseudo-images), or fit it *afterwards* to the codes, with the
# networks fixed. The second way is simpler, so we begin there.

# %% [markdown] pt
# ## A outra ponta: a distribuição a priori
#
# Até aqui melhoramos como o código é *inferido*. Agora vamos ao lugar de onde vêm as amostras.
# Calcule a média da taxa sobre os dados e decomponha-a (Hoffman e Johnson, 2016), sendo $q(z)$ a
# **posterior agregada**, a distribuição dos códigos de todas as imagens juntas:
#
# $$R = I(x; z) + \mathrm{KL}\big(q(z)\,\|\,p(z)\big) .$$
#
# A primeira parte é informação, e vale o seu preço. A segunda é puro desperdício: a distribuição a
# priori espera códigos onde não há nenhum, e o decodificador nunca foi treinado ali. Ela mede em
# nats os buracos da lição 1. Nenhum outro termo do ELBO contém a distribuição a priori; portanto
# **a melhor distribuição a priori é a própria posterior agregada** (Tomczak e Welling, 2018).
#
# Podemos tê-la de duas maneiras: aprender a distribuição a priori *durante* o treino (uma mistura;
# ou a VampPrior, uma mistura das posteriores de pseudoimagens aprendidas), ou ajustá-la *depois*
# aos códigos, com as redes fixas. A segunda maneira é mais simples, e por ela começamos.

# %%
off = {"figures.format": []}
runs = {}
for name, settings in {"vae": {}, "ae": {"model.variant": "ae"}}.items():
    run = vaelab.train(
        vaelab.recipe("quickstart", SETTINGS | off | settings), f"runs/{name}", quiet=True
    )
    fitted = vaelab.fit_prior(
        run.folder, "mixture", f"runs/{name}+mixture", components=30, steps=1000, quiet=True
    )
    runs |= {name: run, f"{name}+mixture": fitted}
    gain, error = fitted.results["prior_gain"]
    print(f"{name}:", say("gain of the fitted prior", "ganho da distribuição ajustada"), end=" ")
    print(f"{gain:.2f} ± {error:.2f} nats")

# %% [markdown] en
# For the VAE the gain is the waste, or at least that much of it: the fitted prior is not perfect
# either. The autoencoder was trained without a prior, so it has no rate that could shrink. But
# after the fit it *has* a prior, and becomes a generative model (Ghosh et al. 2020).

# %% [markdown] pt
# Para o VAE, o ganho é o desperdício, ou ao menos essa parte dele: a distribuição ajustada também
# não é perfeita. O autoencoder foi treinado sem distribuição a priori, e não tem taxa que possa
# diminuir. Mas depois do ajuste ele *tem* uma distribuição a priori, e vira um modelo gerativo
# (Ghosh et al., 2020).

# %%
rows(
    {say("digits", "dígitos"): picture(x[:14])}
    | {name: picture(run.vae.sample(14)) for name, run in runs.items()},
    look=look,
)

# %%
titles = say("Frechet distance   coverage", "dist. de Fréchet   cobertura")
print(f"{'':<16} -log p(x) (nats)   {titles}")
for name, run in runs.items():
    found = vaelab.evaluate(run, sections="samples", quiet=True).sections["samples"]
    nll = "" if name.startswith("ae") else mean(-run.vae.score_samples(x, samples=500))
    print(f"{name:<16} {nll!s:<18} {found['frechet']!s:<18} {found['coverage'].value:.2f}")
real = found["frechet_real"], found["coverage_real"].value
print(f"{say('training images', 'imagens de treino'):<35} {real[0]!s:<18} {real[1]:.2f}")

# %% [markdown] en
# Encoder and decoder did not change at all; only the origin of the samples did. The Frechet
# distance of the samples falls close to that of real training images, for the autoencoder too, and
# the likelihood of the VAE rises. The standard errors of $-\log p(x)$ look too wide to say so, but
# the paired differences show it:

# %% [markdown] pt
# Codificador e decodificador não mudaram em nada; só mudou o lugar de onde partem as amostras. A
# distância de Fréchet das amostras cai para perto da de imagens de treino reais, também para o
# autoencoder, e a verossimilhança do VAE sobe. Os erros padrão de $-\log p(x)$ parecem largos
# demais para afirmar isso, mas as diferenças pareadas mostram:

# %%
before, after = (runs[name].vae.score_samples(x, samples=500) for name in ("vae", "vae+mixture"))
print(say("gain in log p(x), image by image:", "ganho em log p(x), imagem por imagem:"), end=" ")
print(mean(after - before), "nats")

# %% [markdown] en
# ### Learned during the training
#
# Textbooks say that learning the prior jointly is better still, because the encoder can make use of
# it. On MNIST it is (`docs/models.md`: 2.5 nats with the VampPrior). **Predict** it for our digits,
# and check with three seeds.

# %% [markdown] pt
# ### Aprendida durante o treino
#
# Os livros dizem que aprender a distribuição a priori junto com as redes é ainda melhor, porque o
# codificador pode tirar proveito dela. No MNIST, é mesmo (`docs/models.md`: 2,5 nats com a
# VampPrior). **Preveja** para os nossos dígitos, e verifique com três sementes.

# %%
line("vamp, 20", {"model.variant": "vamp", "model.components": 20})
line("mixture, 20", {"model.variant": "gmm-prior", "model.components": 20})

# %% [markdown] en
# It is not: here the joint priors gain nothing. A likely reason is that in forty epochs with 1,455
# training images, prior and encoder chase each other, and the advantage is lost; the fit
# afterwards, which takes a second, gained a third of a nat. A result on MNIST is a result on MNIST.
# **Measure on your own data.**

# %% [markdown] pt
# Não é: aqui as distribuições aprendidas durante o treino não ganham nada. Uma razão provável é
# que, em quarenta épocas com 1.455 imagens de treino, a distribuição a priori e o codificador
# correm um atrás do outro, e a vantagem se perde; o ajuste posterior, que leva um segundo, ganhou
# um terço de nat. Um resultado no MNIST é um resultado no MNIST. **Meça com os seus dados.**

# %% [markdown] en
# ## Exercises
#
# **1. A wrong $q$, the right bound.** $L_K$ is a bound for *any* $q$. Take $q = \mathcal N(0, I)$,
# the prior itself, for every image of the 2-D model. Then the weights are simply $p(x\mid z_k)$.
# Predict the gap at $K = 1$ and at $K = 512$, compared with that of the encoder. Compute both.

# %% [markdown] pt
# ## Exercícios
#
# **1. A $q$ errada, o limite certo.** $L_K$ é um limite para *qualquer* $q$. Tome
# $q = \mathcal N(0, I)$, a própria distribuição a priori, para todas as imagens do modelo 2-D. Os
# pesos são então simplesmente $p(x\mid z_k)$. Preveja a folga com $K = 1$ e com $K = 512$, em
# comparação com a do codificador. Calcule as duas.

# %% solution
with torch.no_grad(), seeded(0, "prior"):
    z = plane.prior().sample((4096,))
    decoded = plane.decoder(z)
    naive = torch.stack([decoded.log_prob(image) for image in some], 1).double()  # (4096, 100)
for k in (1, 16, 512):
    print(f"K = {k:>3}  ", say("q = prior:", "q = a priori:"), end=" ")
    print(f"{mean(exact - bounds(naive, k))!s:<16}  ", end=" ")
    print(say("q = encoder:", "q = codificador:"), gaps[k])

# %% [markdown] en
# <details markdown="1"><summary>Discussion</summary>
#
# The bound holds for any $q$, but the prior wastes nearly all of its samples: at $K = 1$ the gap is
# 13.7 nats. In two dimensions 512 samples make up for that. In twenty dimensions no affordable
# number would.
#
# </details>
#
# **2. The ESS in eight dimensions.** Compute ESS / K for the eight-dimensional `runs["vae"].vae`
# with $K = 1000$, and the share of images for which it is below 0.01. Would you trust
# `score_samples(x, samples=10)` there?

# %% [markdown] pt
# <details markdown="1"><summary>Discussão</summary>
#
# O limite vale para qualquer $q$, mas a distribuição a priori desperdiça quase todas as amostras:
# com $K = 1$ a folga é de 13,7 nats. Em duas dimensões, 512 amostras compensam isso. Em vinte
# dimensões, nenhum número viável compensaria.
#
# </details>
#
# **2. O ESS em oito dimensões.** Calcule ESS / K para o modelo de oito dimensões `runs["vae"].vae`
# com $K = 1000$, e a fração das imagens em que ele fica abaixo de 0,01. Você confiaria ali em
# `score_samples(x, samples=10)`?

# %% solution
with torch.no_grad(), seeded(0, "eight"):
    eight = runs["vae"].vae.draw(x, k=1000).log_weight.double()
share = (2 * eight.logsumexp(0) - (2 * eight).logsumexp(0)).exp() / len(eight)
print(say("ESS / K: median", "ESS / K: mediana"), f"{share.median():.2f},", end=" ")
print(
    say("smallest", "menor"), f"{share.min():.3f},", say("below 0.01:", "abaixo de 0,01:"), end=" "
)
print(f"{(share < 0.01).double().mean():.0%}", say("of the images", "das imagens"))
for k in (10, 100, 1000):
    print(f"K = {k:>4}   -L_K = {mean(-(eight[:k].logsumexp(0) - np.log(k)))}")

# %% [markdown] en
# <details markdown="1"><summary>Discussion</summary>
#
# The median image has an ESS of a quarter of $K$. With $K = 10$ the bound is still 0.13 nats above
# its value at $K = 1000$, which matters if two models differ by a tenth of a nat. Take 1000 samples
# to compare models.
#
# </details>
#
# **3. Stick the landing.** For $K = 1$, the score term of the ELBO's gradient has mean zero but not
# variance zero. The variant `stl` leaves it out. Compare the SNR of the encoder's gradient of
# `elbo`, of `iwae` with $K = 1$ and of `stl`, with `ratios`, for `young` and for the trained
# `plane`. Which one would you train with?

# %% [markdown] pt
# <details markdown="1"><summary>Discussão</summary>
#
# A imagem mediana tem um ESS de um quarto de $K$. Com $K = 10$, o limite ainda está 0,13 nat acima
# do valor com $K = 1000$, o que importa se dois modelos diferem por um décimo de nat. Use 1000
# amostras para comparar modelos.
#
# </details>
#
# **3. Stick the landing.** Com $K = 1$, o termo da função escore no gradiente do ELBO tem média
# zero, mas não variância zero. A variante `stl` o deixa de fora. Compare a SNR do gradiente do
# codificador de `elbo`, de `iwae` com $K = 1$ e de `stl`, usando `ratios`, para `young` e para o
# `plane` treinado. Com qual você treinaria?

# %% solution
closed = say("elbo (KL in closed form)", "elbo (KL em forma fechada)")
after = say(("after 1 epoch", "after 40 epochs"), ("após 1 época", "após 40 épocas"))
for name, objective in ((closed, elbo), ("iwae, K = 1", iwae), ("stl", stl)):
    found = [ratios(objective, 1, vae)[0] for vae in (young, plane)]
    print(f"{name:<26} {after[0]}: {found[0]:.2f}   {after[1]}: {found[1]:.2f}")

# %% [markdown] en
# <details markdown="1"><summary>Discussion</summary>
#
# Early on, the KL in closed form is the least noisy. Near the end `stl` is, because the noise of
# its gradient vanishes as $q$ approaches the posterior. A careful training could begin with one and
# end with the other.
#
# </details>
#
# **4. A VampPrior afterwards.** Fit `"vamp"` instead of `"mixture"` to `runs/vae`, with 30 and with
# 300 pseudo-inputs. Its components are posteriors $q(z\mid u_k)$. Why does it need more of them
# than a mixture whose components may have any width?

# %% [markdown] pt
# <details markdown="1"><summary>Discussão</summary>
#
# No começo, a KL em forma fechada é a menos ruidosa. Perto do fim é `stl`, porque o ruído do seu
# gradiente some à medida que $q$ se aproxima da posterior. Um treino cuidadoso poderia começar com
# uma e terminar com a outra.
#
# </details>
#
# **4. Uma VampPrior depois.** Ajuste `"vamp"` em vez de `"mixture"` a `runs/vae`, com 30 e com 300
# pseudoentradas. Os componentes dela são posteriores $q(z\mid u_k)$. Por que ela precisa de mais
# componentes do que uma mistura cujos componentes podem ter qualquer largura?

# %% solution
for components in (30, 300):
    vamp = vaelab.fit_prior(
        "runs/vae", "vamp", f"runs/vamp-{components}", components=components, steps=600, quiet=True
    )
    gain, error = vamp.results["prior_gain"]
    inputs = say("pseudo-inputs", "pseudoentradas")
    print(f"{components} {inputs}: {gain:.2f} ± {error:.2f} nats")
print(
    say(
        "A posterior is as narrow as the codes of one image. A few of them leave holes\n"
        "between them; a free Gaussian can be as wide as a class.",
        "Uma posterior é tão estreita quanto os códigos de uma imagem. Poucas deixam\n"
        "buracos entre si; uma gaussiana livre pode ter a largura de uma classe.",
    )
)

# %% [markdown] en
# ## On MNIST
#
# Add two lines after `SETTINGS`:
#
# ```python
# SETTINGS |= {"data.source": "mnist", "data.treatment": "dynamic", "train.learning_rate": 1e-3}
# SETTINGS |= {"model.latent": 20, "model.hidden": [400]}
# ```
#
# and make the test images with `x = torch.bernoulli(digits.test.x[:1000] / 255)`; the 2-D cells
# stay 2-D, and `REPEATS = 100` is enough. A training takes a few minutes on two cores, so take one
# seed. Expect the same order with larger differences: IWAE about two nats better than the VAE in
# $-\log p(x)$ and worse in the ELBO, and, unlike here, a VampPrior that gains two to three nats.
# [docs/models.md](../../models.md#measured-on-mnist) has the table with standard errors. With 20
# dimensions use at least $K = 500$.

# %% [markdown] pt
# ## No MNIST
#
# Acrescente duas linhas depois de `SETTINGS`:
#
# ```python
# SETTINGS |= {"data.source": "mnist", "data.treatment": "dynamic", "train.learning_rate": 1e-3}
# SETTINGS |= {"model.latent": 20, "model.hidden": [400]}
# ```
#
# e crie as imagens de teste com `x = torch.bernoulli(digits.test.x[:1000] / 255)`; as células 2-D
# continuam 2-D, e `REPEATS = 100` basta. Um treino leva alguns minutos em dois núcleos; use uma só
# semente. Espere a mesma ordem, com diferenças maiores: o IWAE uns dois nats melhor que o VAE em
# $-\log p(x)$ e pior no ELBO, e, ao contrário daqui, uma VampPrior que ganha de dois a três nats.
# [docs/models.md](../../models.md#measured-on-mnist) traz a tabela com erros padrão. Com 20
# dimensões, use pelo menos $K = 500$.

# %% [markdown] en
# ## Citing and further reading
#
# `vaelab cite RUN` prints BibTeX entries for what a run used, a fitted prior included; vaelab
# itself is in `CITATION.cff`.
#
# - Burda, Grosse & Salakhutdinov 2016, *Importance weighted autoencoders*, arXiv:1509.00519.
# - Rainforth et al. 2018, *Tighter variational bounds are not necessarily better*,
#   arXiv:1802.04537.
# - Tucker et al. 2019, *Doubly reparameterized gradient estimators for Monte Carlo objectives*,
#   arXiv:1810.04152.
# - Roeder, Wu & Duvenaud 2017, *Sticking the landing*, arXiv:1703.09194.
# - Cremer, Li & Duvenaud 2018, *Inference suboptimality in variational autoencoders*,
#   arXiv:1801.03558.
# - Domke & Sheldon 2018, *Importance weighting and variational inference* (the rate $v/2K$),
#   arXiv:1808.09034.
# - Hoffman & Johnson 2016, *ELBO surgery*, NIPS workshop on advances in approximate Bayesian
#   inference.
# - Tomczak & Welling 2018, *VAE with a VampPrior*, arXiv:1705.07120.
# - Ghosh et al. 2020, *From variational to deterministic autoencoders*, arXiv:1903.12436.
# - Dai & Wipf 2019, *Diagnosing and enhancing VAE models*, arXiv:1903.05789.
#
# **Next:** [discrete codes](6-codes.ipynb), which can be counted.

# %% [markdown] pt
# ## Como citar e leituras
#
# `vaelab cite RUN` mostra as entradas BibTeX do que uma execução usou, inclusive de uma
# distribuição a priori ajustada; o próprio vaelab está em `CITATION.cff`.
#
# - Burda, Grosse & Salakhutdinov 2016, *Importance weighted autoencoders*, arXiv:1509.00519.
# - Rainforth et al. 2018, *Tighter variational bounds are not necessarily better*,
#   arXiv:1802.04537.
# - Tucker et al. 2019, *Doubly reparameterized gradient estimators for Monte Carlo objectives*,
#   arXiv:1810.04152.
# - Roeder, Wu & Duvenaud 2017, *Sticking the landing*, arXiv:1703.09194.
# - Cremer, Li & Duvenaud 2018, *Inference suboptimality in variational autoencoders*,
#   arXiv:1801.03558.
# - Domke & Sheldon 2018, *Importance weighting and variational inference* (a taxa $v/2K$),
#   arXiv:1808.09034.
# - Hoffman & Johnson 2016, *ELBO surgery*, NIPS workshop on advances in approximate Bayesian
#   inference.
# - Tomczak & Welling 2018, *VAE with a VampPrior*, arXiv:1705.07120.
# - Ghosh et al. 2020, *From variational to deterministic autoencoders*, arXiv:1903.12436.
# - Dai & Wipf 2019, *Diagnosing and enhancing VAE models*, arXiv:1903.05789.
#
# **A seguir:** [códigos discretos](6-codes.ipynb), que se podem contar.
