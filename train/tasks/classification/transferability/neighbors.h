// Nearest neighbors: how often those of a sample are of its class.
#pragma once
#include "graft/train/tasks/classification/transferability/classed_features.h"

namespace graft::train {

// The share of samples that the k nearest others, by the cosine of their features, call by their
// class; of classes with as many votes the nearest's counts.
GRAFT_API double neighbor_accuracy(const ClassedFeatures& features, int64_t k = 5);

}  // namespace graft::train
