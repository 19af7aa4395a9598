#include "graft/layers/modules/dropout.h"

#include <bit>

#include "graft/core/runtime/random.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/dropout.h"

namespace graft {

Dropout::Dropout(double probability) : probability_(probability) {
  GRAFT_CHECK(probability >= 0 && probability < 1, "Dropout: probability ", probability,
              " is not in [0, 1)");
}

Tensor Dropout::forward(const Tensor& x) {
  return functional::dropout(x, {probability_, seed_, epoch_, step_, words_}, training());
}

void Dropout::set_stream(uint64_t seed, uint64_t epoch, uint64_t step) {
  const bool same = seed == seed_ && epoch == epoch_ && step == step_;
  seed_ = seed;
  epoch_ = epoch;
  step_ = step;
  if (words_.defined() && !same) words_.copy_from(Tensor::of<int32_t>({5}, words()));
}

void Dropout::keep_stream_on(Device device) {
  words_ = is_cpu(device) ? Tensor() : to_device(Tensor::of<int32_t>({5}, words()), device);
}

std::vector<int32_t> Dropout::words() const {
  const CountedRandom random(seed_, RandomPurpose::dropout, epoch_, step_);
  const auto bits = [](uint32_t word) { return std::bit_cast<int32_t>(word); };
  return {bits(random.key()[0]), bits(random.key()[1]), bits(random.stream()[0]),
          bits(random.stream()[1]), bits(random.stream()[2])};
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

void keep_dropout_streams_on(Device device, Module& network) {
  network.for_each_module([&](const std::string&, Module& module) {
    if (auto* dropout = dynamic_cast<Dropout*>(&module)) dropout->keep_stream_on(device);
  });
}

}  // namespace graft
