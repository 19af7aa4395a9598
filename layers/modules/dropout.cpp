#include "graft/layers/modules/dropout.h"

#include "graft/layers/functional/functional.h"

namespace graft {

Dropout::Dropout(double probability) : probability_(probability) {
  GRAFT_CHECK(probability >= 0 && probability < 1, "Dropout: probability ", probability, " is not in [0, 1)");
}

Tensor Dropout::forward(const Tensor& x) {
  return functional::dropout(x, {probability_, seed_, epoch_, step_}, training());
}

void Dropout::set_stream(uint64_t seed, uint64_t epoch, uint64_t step) {
  seed_ = seed;
  epoch_ = epoch;
  step_ = step;
}

void set_dropout_streams(Module& network, uint64_t seed, uint64_t epoch, uint64_t step) {
  uint64_t own_seed = seed;
  network.for_each_module([&](const std::string&, Module& module) {
    auto* dropout = dynamic_cast<Dropout*>(&module);
    if (!dropout) return;
    dropout->set_stream(own_seed, epoch, step);
    own_seed += 0x9e3779b97f4a7c15u;
  });
}

}  // namespace graft
