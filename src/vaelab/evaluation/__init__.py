"""Numbers of a trained model, each with its unit and its error.

prepared.py        a run made ready to be measured: its model, its data as it was trained on them
metric.py          what a number is: its unit, which way is better, where it was published; its standard error
likelihood.py      distortion, rate, log p(x) by importance weights, by quadrature        annealing.py    by chains
latent.py          the codes: use, information, distance of the aggregate posterior from the prior, holes, classes
samples.py         decoded samples and reconstructions against images     classifier.py    the eyes for that
disentangling.py   the codes against known factors
evaluate.py        `evaluate`: all of these, written into the run folder
doctor.py          from numbers to plain sentences
paired.py          runs held against the first of them     intervals.py    how far a mean difference may be trusted
"""
