#include "graft/train/held_statistics.h"

namespace graft::train {

// With momentum 0 the running statistics are written again as they are.
HeldStatistics::HeldStatistics(StagedNetwork& network) {
  network.for_each_module([this](const std::string&, Module& module) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&module);
    if (!norm) return;
    Before before{norm, norm->options().momentum, {}, 0};
    for (const auto& [name, tensor] : module.own_tensors())
      if (!name.empty() && name == norm->options().names[4])
        before.count = tensor, before.batches = tensor.data<int64_t>()[0];
    norm->set_momentum(0);
    before_.push_back(std::move(before));
  });
}

HeldStatistics::~HeldStatistics() {
  for (Before& before : before_) {
    before.norm->set_momentum(before.momentum);
    if (before.count.defined() && before.count.data<int64_t>()[0] != before.batches)
      before.count.mutable_data<int64_t>()[0] = before.batches;
  }
}

}  // namespace graft::train
