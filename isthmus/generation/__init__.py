"""Making images through the code: priors, sampling, interpolation, directions, augmentation, frames.

codes.py         images -> codes, and which numbers a bottleneck can give at all
prior.py         what a prior is; fitted ones are kept in the model as attachments
  standard.py    the standard normal
  mixture.py     Gaussians and mixtures of them, per class where labels exist
  flow.py        a learned prior: flow matching that starts from the mixture
  flow_network.py, flow_training.py
fitting.py       fit a prior to a trained model
sampling.py      new images, of a class, or like a given one
interpolation.py paths between images
directions.py    attribute directions, from labels or two groups of images
augmentation.py  more labelled images; filtering.py says which of them are kept
distortion.py    classic label-keeping changes
frames.py        sequences: frames filled, inserted, predicted; dynamics.py learns how codes move
moving.py        moving digits, made from a data set
code_map.py      all codes laid out in two dimensions
"""
