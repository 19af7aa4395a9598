// H-score: how far the features tell the class means apart, measured in their own covariance.
#pragma once
#include "graft/train/tasks/classification/transferability/classed_features.h"

namespace graft::train {

struct SeparationScore {
  double score = 0;      // between 0 and C - 1
  double shrinkage = 0;  // of the covariance towards a multiple of the identity
};

// (1 - shrinkage) * trace(cov(F)^-1 cov(E[F | class])), covariances over N, the first one shrunk as
// Ledoit and Wolf (J. Multivariate Anal. 88, 2004) do, so that it has an inverse with fewer samples
// than features too.
// Source: Bao et al. (ICIP 2019); the regularised form: Ibrahim et al. (ECML-PKDD 2022).
GRAFT_API SeparationScore class_separation(const ClassedFeatures& features);

}  // namespace graft::train
