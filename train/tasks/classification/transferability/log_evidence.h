// LogME: the evidence of a Bayesian linear model on the features, maximised.
#pragma once
#include "graft/train/tasks/classification/transferability/classed_features.h"

namespace graft::train {

// Mean over the classes of max over a, b of log p(t | F, a, b) / N, where t is 1 for the class's
// samples and 0 for others, t ~ N(F w, 1/b), w ~ N(0, 1/a); features as they are, without a bias.
// Source: You et al., LogME (ICML 2021), equation 1. The maximum is searched for itself, over the
// ratio a/b with the best b for each: the iteration given there, as it is often copied, is another
// function's where samples are fewer than features.
GRAFT_API double log_evidence(const ClassedFeatures& features);

}  // namespace graft::train
