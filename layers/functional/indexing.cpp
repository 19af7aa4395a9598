// functional::gather*, scatter*, their Nodes, one_hot, hardmax, nonzero and compress.
#include "graft/layers/functional/indexing.h"

#include "graft/core/autograd/record.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/ops/indexing.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/axes.h"
#include "graft/layers/functional/beside.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/reduction.h"
#include "graft/layers/functional/trace_step.h"

namespace graft::functional {
namespace {

constexpr MemoryFormat kInOrder = MemoryFormat::contiguous;

class GatherNode final : public Node {
 public:
  GatherNode(const Tensor& x, const Tensor& indices, const ops::GatherAttributes& attributes)
      : shape_(x.shape()), options_(x.options()), indices_(indices), attributes_(attributes) {}
  const char* name() const override { return "gather"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    Tensor dx = Tensor::empty(shape_, {.dtype = options_.dtype, .device = options_.device});
    kernels_for<ops::IndexingKernels>(dx).gather_backward(
        current_context(), {grads[0].to(kInOrder), indices_.get("gather"), attributes_, dx});
    return {dx.to(options_.format), Tensor()};
  }
  void release() override { indices_.release(); }

 private:
  Shape shape_;
  TensorOptions options_;
  SavedTensor indices_;
  ops::GatherAttributes attributes_;
};

class ScatterNode final : public Node {
 public:
  ScatterNode(const Tensor& x, const Tensor& indices, const Tensor& updates, const Tensor& y,
              const ops::ScatterAttributes& attributes)
      : x_(x), indices_(indices), updates_(updates), y_(y), attributes_(attributes) {}
  const char* name() const override { return "scatter"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor x = x_.get("scatter"), updates = updates_.get("scatter");
    Tensor dx, dupdates;
    if (needs(0)) dx = Tensor::empty(x.shape(), {.dtype = x.dtype(), .device = x.device()});
    if (needs(2))
      dupdates = Tensor::empty(updates.shape(), {.dtype = x.dtype(), .device = x.device()});
    kernels_for<ops::IndexingKernels>(x).scatter_backward(
        current_context(),
        {x.to(kInOrder), indices_.get("scatter").to(kInOrder), updates.to(kInOrder),
         y_.get("scatter").to(kInOrder), grads[0].to(kInOrder), attributes_,
         needs(0) ? &dx : nullptr, needs(2) ? &dupdates : nullptr});
    if (needs(0)) dx = dx.to(x.format());
    if (needs(2)) dupdates = dupdates.to(updates.format());
    return {dx, Tensor(), dupdates};
  }
  void release() override {
    for (SavedTensor* saved : {&x_, &indices_, &updates_, &y_}) saved->release();
  }

 private:
  SavedTensor x_, indices_, updates_, y_;
  ops::ScatterAttributes attributes_;
};

// Every sample reads itself alone where an index never walks along the samples' axis.
Replay replay_gather(const ReplaySite& site) {
  const auto a = site.as<ops::GatherAttributes>();
  switch (a.indexing) {
    case ops::Indexing::slices:
      // Rows of a constant table, or the same places of every sample.
      if (a.axis == 0 ? !site.constants[0] : !site.constants[1]) return Replay::mixes_samples();
      return {[a](const auto& in) { return gather(in[0], in[1], a.axis); }, {}};
    case ops::Indexing::elements:
      if (a.axis == 0) return Replay::mixes_samples();
      return {[a](const auto& in) { return gather_elements(in[0], in[1], a.axis); }, {}};
    case ops::Indexing::tuples: break;
  }
  if (a.batch_axes == 0) return Replay::mixes_samples();
  return {[a](const auto& in) { return gather_nd(in[0], in[1], a.batch_axes); }, {}};
}

Replay replay_scatter(const ReplaySite& site) {
  const auto a = site.as<ops::ScatterAttributes>();
  if (a.indexing != ops::Indexing::elements || a.axis == 0) return Replay::mixes_samples();
  return {
      [a](const auto& in) { return scatter_elements(in[0], in[1], in[2], a.axis, a.reduction); },
      {}};
}

Replay refuse_nonzero(const ReplaySite&) {
  return Replay::refused("the number of its results depends on values");
}

Tensor gather_with(const Tensor& x, const Tensor& places, const ops::GatherAttributes& attributes) {
  if (x.device() != places.device() && is_cpu(x.device()))
    return gather_with(beside("gather", x, places.device()), places, attributes);
  const Tensor indices = to_device(places, x.device()).to(kInOrder);
  Tensor y = Tensor::empty(ops::gather_output_shape(x.shape(), indices.shape(), attributes),
                           {.dtype = x.dtype(), .device = x.device()});
  kernels_for<ops::IndexingKernels>(x).gather_forward(current_context(),
                                                      {x.to(kInOrder), indices, attributes, y});
  return record(attributes, replay_gather, {x, indices}, y.to(x.format()),
                [&] { return std::make_shared<GatherNode>(x, indices, attributes); });
}

Tensor scatter_with(const Tensor& x, const Tensor& indices, const Tensor& updates,
                    const ops::ScatterAttributes& attributes) {
  if (const Device device = meeting_place({x, indices, updates});
      x.device() != device || indices.device() != device || updates.device() != device)
    return scatter_with(beside("scatter", x, device), to_device(indices, device),
                        beside("scatter", updates, device), attributes);
  GRAFT_CHECK(x.dtype() == updates.dtype(), "scatter: updates of ", name_of(updates.dtype()),
              " into ", name_of(x.dtype()));
  Tensor y = Tensor::empty(x.shape(), {.dtype = x.dtype(), .device = x.device()});
  kernels_for<ops::IndexingKernels>(x).scatter_forward(
      current_context(),
      {x.to(kInOrder), indices.to(kInOrder), updates.to(kInOrder), attributes, y});
  y = y.to(x.format());
  return record(attributes, replay_scatter, {x, indices, updates}, y,
                [&] { return std::make_shared<ScatterNode>(x, indices, updates, y, attributes); });
}

// Positions of the elements that are not 0, in logical order.
std::vector<int64_t> nonzero_positions(const Tensor& x) {
  const Tensor ordered =
      to_device(x.to(kInOrder), {});  // their number is needed here: a device is waited for
  std::vector<int64_t> positions;
  visit_dtype(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* values = ordered.data<T>();
    for (int64_t i = 0; i < x.numel(); ++i)
      if (convert<bool>(values[i])) positions.push_back(i);
  });
  return positions;
}

struct NonZeroAttributes {
  static constexpr std::string_view id = "nonzero";
};

}  // namespace

Tensor gather(const Tensor& x, const Tensor& indices, int axis) {
  return gather_with(x, indices, {ops::Indexing::slices, axis_of("gather", axis, x.rank())});
}
Tensor gather_elements(const Tensor& x, const Tensor& indices, int axis) {
  return gather_with(x, indices, {ops::Indexing::elements, axis_of("gather", axis, x.rank())});
}
Tensor gather_nd(const Tensor& x, const Tensor& indices, int batch_axes) {
  return gather_with(x, indices, {ops::Indexing::tuples, 0, batch_axes});
}

Tensor scatter_elements(const Tensor& x, const Tensor& indices, const Tensor& updates, int axis,
                        ops::ScatterReduction reduction) {
  return scatter_with(x, indices, updates,
                      {ops::Indexing::elements, axis_of("scatter", axis, x.rank()), reduction});
}
Tensor scatter_nd(const Tensor& x, const Tensor& indices, const Tensor& updates,
                  ops::ScatterReduction reduction) {
  return scatter_with(x, indices, updates, {ops::Indexing::tuples, 0, reduction});
}

Tensor one_hot(const Tensor& indices, int64_t depth, const Tensor& off, const Tensor& on,
               int axis) {
  GRAFT_CHECK(depth >= 0 && indices.rank() < Shape::max_rank, "one_hot: depth ", depth,
              " for indices ", indices.shape());
  const int at = axis_of("one_hot", axis, indices.rank() + 1);
  const Tensor wide = cast(to_format(indices, kInOrder), DType::i64);
  const Tensor zero = Tensor::scalar(0, DType::i64);
  const Tensor wrapped = where(binary(wide, zero, ops::Binary::less),
                               add(wide, Tensor::of<int64_t>(Shape{}, {depth})), wide);
  std::vector<int64_t> extents(static_cast<size_t>(indices.rank()) + 1, 1);
  extents[static_cast<size_t>(at)] = depth;
  const Tensor places = range(int64_t{0}, depth, int64_t{1}, DType::i64)
                            .reshape(Shape(std::span<const int64_t>(extents)));
  const int added[] = {at};
  return where(binary(unsqueeze(wrapped, added), places, ops::Binary::equal), on, off);
}

Tensor hardmax(const Tensor& x, int axis) {
  const int at = axis_of("hardmax", axis, x.rank());
  std::vector<int64_t> extents(static_cast<size_t>(x.rank()), 1);
  extents[static_cast<size_t>(at)] = x.shape()[at];
  const Tensor places = range(int64_t{0}, x.shape()[at], int64_t{1}, DType::i64)
                            .reshape(Shape(std::span<const int64_t>(extents)));
  const Tensor best = argmax(x, at);
  return cast(binary(best, places.to(best.format()), ops::Binary::equal), x.dtype());
}

Tensor nonzero(const Tensor& x) {
  const std::vector<int64_t> positions = nonzero_positions(x);
  const int rank = std::max(1, x.rank());
  const auto count = static_cast<int64_t>(positions.size());
  Tensor y = Tensor::empty({rank, count}, {.dtype = DType::i64});
  int64_t* out = y.mutable_data<int64_t>();
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = positions[static_cast<size_t>(i)];
    for (int axis = rank - 1; axis >= 0; --axis) {
      const int64_t extent = x.rank() ? x.shape()[axis] : 1;
      out[axis * count + i] = rest % extent;
      rest /= extent;
    }
  }
  return trace_step(NonZeroAttributes{}, refuse_nonzero, {x}, y);
}

Tensor compress(const Tensor& x, const Tensor& condition, int axis) {
  GRAFT_CHECK(condition.rank() == 1 && condition.dtype() == DType::boolean,
              "compress: a condition ", condition.shape(), " of ", name_of(condition.dtype()),
              ", expected bool [K]");
  const int at = axis_of("compress", axis, x.rank());
  GRAFT_CHECK(condition.size(0) <= x.shape()[at], "compress: condition ", condition.shape(),
              " is longer than axis ", at, " of ", x.shape());
  const Tensor places = nonzero(condition);
  return gather(x, reshape(places, {places.size(1)}), at);
}

}  // namespace graft::functional
