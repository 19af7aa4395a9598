#include "graft/kernels/cuda/emulator/fake_dnn.h"

#include <cstring>

#include "graft/core/base/error.h"

namespace graft::cuda::emulator {
namespace {

using cudnn::Binding;
using cudnn::ConvGraph;
using cudnn::ConvPass;
using cudnn::Operand;
using gpu::Status;

struct FakePlan final : cudnn::Plan {
  FakePlan(const ConvGraph& g, FakeDnnState& s) : graph(g), state(s) {
    ++state.live_plans;
    engine = 1;
    tag = "eng1";
    workspace = g.pass == ConvPass::backward_weight ? 1000 : 0;
  }
  ~FakePlan() override { --state.live_plans; }
  ConvGraph graph;
  FakeDnnState& state;
};

// Elements in memory, of one of the three types, as doubles.
class Elements {
 public:
  Elements(std::byte* data, DType type) : data_(data), type_(type) {}
  explicit operator bool() const { return data_ != nullptr; }
  double get(int64_t i) const {
    if (type_ == DType::f32) return at<float>(i);
    return type_ == DType::bf16 ? static_cast<float>(at<bfloat16>(i)) : static_cast<float>(at<float16>(i));
  }
  void set(int64_t i, double value) const {
    if (type_ == DType::f32) put(i, static_cast<float>(value));
    else if (type_ == DType::bf16) put(i, bfloat16(static_cast<float>(value)));
    else put(i, float16(static_cast<float>(value)));
  }

 private:
  template <class T>
  T at(int64_t i) const {
    T value;
    std::memcpy(&value, data_ + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    return value;
  }
  template <class T>
  void put(int64_t i, T value) const {
    std::memcpy(data_ + static_cast<size_t>(i) * sizeof(T), &value, sizeof(T));
  }
  std::byte* data_;
  DType type_;
};

// Calls f(image element, weight element, result element) for every product of the convolution.
template <class F>
void for_each_product(const ConvGraph& g, F&& f) {
  const int64_t c_group = g.c / g.groups, k_group = g.k / g.groups;
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t p = 0; p < g.p; ++p)
      for (int64_t q = 0; q < g.q; ++q)
        for (int64_t r = 0; r < g.r; ++r)
          for (int64_t s = 0; s < g.s; ++s) {
            const int64_t h = p * g.stride[0] + r * g.dilation[0] - g.pad_begin[0], w = q * g.stride[1] + s * g.dilation[1] - g.pad_begin[1];
            if (h < 0 || h >= g.h || w < 0 || w >= g.w) continue;
            for (int64_t k = 0; k < g.k; ++k)
              for (int64_t c = 0; c < c_group; ++c)
                f(((n * g.h + h) * g.w + w) * g.c + k / k_group * c_group + c, ((k * g.r + r) * g.s + s) * c_group + c,
                  ((n * g.p + p) * g.q + q) * g.k + k);
          }
}

void compute(const ConvGraph& g, const Elements& image, const Elements& weight, const Elements& result, const Elements& bias, const Elements& residual) {
  const auto total = [&]() -> int64_t {
    if (g.pass == ConvPass::forward) return g.n * g.p * g.q * g.k;
    return g.pass == ConvPass::backward_data ? g.n * g.h * g.w * g.c : g.k * g.r * g.s * (g.c / g.groups);
  }();
  std::vector<double> sums(static_cast<size_t>(total));
  const auto sum = [&](int64_t i) -> double& { return sums[static_cast<size_t>(i)]; };
  for_each_product(g, [&](int64_t x, int64_t w, int64_t y) {
    if (g.pass == ConvPass::forward) sum(y) += image.get(x) * weight.get(w);
    else if (g.pass == ConvPass::backward_data) sum(x) += result.get(y) * weight.get(w);
    else sum(w) += image.get(x) * result.get(y);
  });
  const Elements& out = g.pass == ConvPass::forward ? result : g.pass == ConvPass::backward_data ? image : weight;
  for (int64_t i = 0; i < total; ++i) {
    double value = sum(i);
    if (g.bias) value += bias.get(i % g.k);
    if (g.residual) value += residual.get(i);
    if (g.activation != cudnn::Activation::none && value < 0) value = 0;
    if (g.activation == cudnn::Activation::relu6 && value > 6) value = 6;
    out.set(i, value);
  }
}

}  // namespace

Status FakeDnn::build(const ConvGraph& graph, const cudnn::PlanRules&, std::unique_ptr<cudnn::Plan>& plan) {
  const Status status = driver_.count_call();
  if (!status.ok()) return status;
  if (state_.refuses && state_.refuses(graph)) return {Status::Code::failed, "no engine takes it"};
  ++state_.built;
  plan = std::make_unique<FakePlan>(graph, state_);
  return {};
}

// As the bytes of the graph, in hexadecimal: a plan of this process.
Status FakeDnn::save(const cudnn::Plan& plan, std::string& text) {
  text.clear();
  const auto& graph = static_cast<const FakePlan&>(plan).graph;
  for (size_t i = 0; i < sizeof graph; ++i) {
    constexpr const char* digits = "0123456789abcdef";
    const auto byte = reinterpret_cast<const unsigned char*>(&graph)[i];
    text += digits[byte / 16];
    text += digits[byte % 16];
  }
  return driver_.count_call();
}

Status FakeDnn::restore(const std::string& text, std::unique_ptr<cudnn::Plan>& plan) {
  const Status status = driver_.count_call();
  if (!status.ok()) return status;
  ConvGraph graph;
  if (text.size() != 2 * sizeof graph) return {Status::Code::failed, "a damaged plan"};
  for (size_t i = 0; i < sizeof graph; ++i)
    reinterpret_cast<unsigned char*>(&graph)[i] = static_cast<unsigned char>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
  ++state_.restored;
  plan = std::make_unique<FakePlan>(graph, state_);
  return {};
}

Status FakeDnn::execute(const cudnn::Plan& plan, std::span<const Binding> bindings, void* workspace, gpu::StreamId stream) {
  const ConvGraph g = static_cast<const FakePlan&>(plan).graph;
  std::vector<HostRange> ranges;
  std::vector<Operand> operands;
  const Operand out = g.pass == ConvPass::forward ? Operand::result : g.pass == ConvPass::backward_data ? Operand::image : Operand::weight;
  const int64_t size = size_of(g.type);
  for (const Binding& binding : bindings) {
    if (reinterpret_cast<uintptr_t>(binding.data) % 16 != 0) return {Status::Code::failed, "misaligned pointer"};
    int64_t bytes = 0;
    switch (binding.operand) {
      case Operand::image: bytes = g.n * g.h * g.w * g.c * size; break;
      case Operand::weight: bytes = g.k * g.r * g.s * (g.c / g.groups) * (g.pass == ConvPass::backward_weight ? size_of(g.gradient) : size); break;
      case Operand::result:
      case Operand::residual: bytes = g.n * g.p * g.q * g.k * size; break;
      case Operand::bias: bytes = g.k * 4; break;
    }
    ranges.push_back({binding.data, bytes, binding.operand == out});
    operands.push_back(binding.operand);
  }
  const auto wanted = static_cast<size_t>(3 + int{g.bias} + int{g.residual});
  if (operands.size() != wanted) return {Status::Code::failed, "an operand is missing, or one too many"};
  if ((plan.workspace > 0) != (workspace != nullptr)) return {Status::Code::failed, "no workspace"};
  if (workspace) ranges.push_back({workspace, plan.workspace, true});
  ++state_.executed;
  return driver_.queue_on_host("cuDNN", stream, std::move(ranges), [g, operands](std::span<std::byte* const> data) {
    const auto find = [&](Operand operand, DType type) {
      for (size_t i = 0; i < operands.size(); ++i)
        if (operands[i] == operand) return Elements(data[i], type);
      return Elements(nullptr, type);
    };
    compute(g, find(Operand::image, g.type), find(Operand::weight, g.pass == ConvPass::backward_weight ? g.gradient : g.type),
            find(Operand::result, g.type), find(Operand::bias, DType::f32), find(Operand::residual, g.type));
  });
}

}  // namespace graft::cuda::emulator
