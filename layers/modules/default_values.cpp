#include "graft/layers/modules/default_values.h"

#include <cmath>
#include <utility>

#include "graft/core/runtime/random.h"

namespace graft {
namespace {

thread_local bool t_stays_unset = false;
thread_local uint64_t t_default_seed = 0, t_layers_made = 0;
constexpr uint64_t kDefaultValues = 1;  // the epoch of these streams; models::initialize has 0

CountedRandom next_layer() {
  return {t_default_seed, RandomPurpose::initialization, kDefaultValues, t_layers_made++};
}

}  // namespace

void give_default_values(Tensor weight, Tensor bias, int64_t fan_in) {
  if (t_stays_unset) return;
  CountedRandom random = next_layer();
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  fill_uniform(weight, -bound, bound, random);
  if (bias.defined()) fill_uniform(bias, -bound, bound, random);
}

void give_normal_values(Tensor weight) {
  if (t_stays_unset) return;
  CountedRandom random = next_layer();
  fill_normal(weight, 0, 1, random);
}

void set_default_seed(uint64_t seed) {
  t_default_seed = seed;
  t_layers_made = 0;
}

ScopedUnsetValues::ScopedUnsetValues() : outer_(std::exchange(t_stays_unset, true)) {}
ScopedUnsetValues::~ScopedUnsetValues() { t_stays_unset = outer_; }

}  // namespace graft
