// EnginePackedWeight: a convolution's weight as the engine's forward kernels want it, and what
// their fused attributes mean to the engine.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "graft/core/base/made_once.h"
#include "graft/kernels/cpu/conv_problem.h"
#include "graft/kernels/cpu/depthwise.h"
#include "graft/kernels/cpu/grouped.h"
#include "graft/kernels/cpu/map_functions.h"
#include "graft/kernels/cpu/winograd.h"
#include "graft/kernels/ops/fused_conv.h"

namespace graft::cpu {

// A weight in the layouts of one kernel table, each made when it is first asked for: which one is
// needed depends on the images.
template <class T>
class EnginePackedWeight final : public ops::PackedWeight {
 public:
  explicit EnginePackedWeight(const KernelTable<T>& table) : table_(&table) {}
  bool is_for(const KernelTable<T>& table) const { return table_ == &table; }

  // Where each group's panels start.
  std::vector<const T*> panels(ExecContext& context, const ConvShape& shape,
                               const Tensor& weight) const {
    const std::vector<PackSource<T>> sources = forward_sources<T>(shape, weight);
    const std::vector<int64_t> offsets = packed_offsets(*table_, sources);
    const Scratch<T>& panels = panels_.get([&] {
      auto made = std::make_unique<Scratch<T>>(offsets.back());
      std::vector<T*> to;
      for (size_t i = 0; i < sources.size(); ++i) to.push_back(made->data() + offsets[i]);
      cpu::pack<T>(context, *table_, sources, to);
      return made;
    });
    std::vector<const T*> groups;
    for (size_t i = 0; i < sources.size(); ++i) groups.push_back(panels.data() + offsets[i]);
    return groups;
  }

  const T* transformed(ExecContext& context, const ConvShape& shape,
                       const Tensor& weight) const requires std::is_same_v<T, float> {
    return transformed_
        .get([&] {
          const PackSource<T> source = forward_sources<T>(shape, weight)[0];
          auto made = std::make_unique<Scratch<T>>(winograd_packed_size(*table_, source));
          winograd_pack(context, *table_, source, made->data());
          return made;
        })
        .data();
  }

  // For depthwise convolutions.
  const T* by_tap(const ConvShape& shape, const Tensor& weight) const {
    return by_tap_
        .get([&] {
          auto made = std::make_unique<Scratch<T>>(weight.numel());
          pack_depthwise(shape, weight, made->data());
          return made;
        })
        .data();
  }

  // For narrow groups side by side.
  const T* by_group(ExecContext& context, const ConvShape& shape, const Tensor& weight,
                    int lanes) const {
    return by_group_
        .get([&] {
          auto made = std::make_unique<Scratch<T>>(grouped_weight_size(shape, lanes));
          pack_grouped(context, shape, weight, grouped_forward_taps(shape, weight), lanes,
                       made->data());
          return made;
        })
        .data();
  }

  // The same weight for images in bfloat16.
  const EnginePackedWeight<Bf16>* in_pairs(
      const KernelTable<Bf16>& table) const requires std::is_same_v<T, float> {
    return &pairs_.get([&] { return std::make_unique<EnginePackedWeight<Bf16>>(table); });
  }

 private:
  const KernelTable<T>* table_;
  MadeOnce<EnginePackedWeight<Bf16>> pairs_;
  MadeOnce<Scratch<T>> panels_, transformed_, by_tap_, by_group_;
};

inline Activation engine_activation(ops::FusedActivation activation) {
  switch (activation) {
    case ops::FusedActivation::none: return Activation::none;
    case ops::FusedActivation::relu: return Activation::relu;
    case ops::FusedActivation::relu6: return Activation::relu6;
    case ops::FusedActivation::function: return Activation::none;  // the map comes afterwards
  }
  return Activation::none;
}

// What is left to do with the stored sums.
inline std::optional<MapAttributes> engine_map(const ops::FusedConvAttributes& attributes) {
  if (attributes.activation != ops::FusedActivation::function) return std::nullopt;
  return map_attributes(attributes.function);
}
inline const char* declines_map(DType dtype, const ops::FusedConvAttributes& attributes) {
  if (attributes.activation != ops::FusedActivation::function) return nullptr;
  if (dtype == DType::f64) return "no vectorised maths in f64";
  return is_mapped(attributes.function.function) ? nullptr : "no vectorised maths of this function";
}

}  // namespace graft::cpu
