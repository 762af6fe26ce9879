"""New images through the code: priors, sampling, interpolation, directions, augmentation, frames.

codes.py         images -> codes, and which numbers a bottleneck can give
prior.py         what a prior is; the standard normal
  mixture.py     Gaussians and mixtures of them, per class where labels exist
  flow.py        a learned prior: flow matching that starts from the mixture
  flow_network.py, flow_training.py
prior_store.py   fit a prior to a trained model; priors in a model file
sampling.py      new images, of a class, like a given one, or on a path between images
directions.py    attribute directions, from labels or two groups of images
augmentation.py  more labelled images, and which of them are kept
distortion.py    classic changes that keep a label
frames.py        sequences: frames filled, inserted, predicted; dynamics.py learns how codes move
code_map.py      all codes laid out in two dimensions
"""
