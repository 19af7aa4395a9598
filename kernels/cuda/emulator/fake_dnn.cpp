#include "graft/kernels/cuda/emulator/fake_dnn.h"

#include "graft/core/base/error.h"
#include "graft/kernels/cuda/emulator/elements.h"

namespace graft::cuda::emulator {
namespace {

using cudnn::Binding;
using cudnn::ConvGraph;
using cudnn::ConvPass;
using cudnn::Operand;
using gpu::Status;

struct FakePlan final : cudnn::Plan {
  FakePlan(const ConvGraph& g, FakeDnnState& s, int64_t number) : graph(g), state(s) {
    ++state.live_plans;
    engine = number;
    tag = str("eng", number);
    workspace = g.pass == ConvPass::backward_weight ? 1000 : 0;
  }
  ~FakePlan() override { --state.live_plans; }
  ConvGraph graph;
  FakeDnnState& state;
  bool has_handle = false;
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
            const int64_t h = p * g.stride[0] + r * g.dilation[0] - g.pad_begin[0],
                          w = q * g.stride[1] + s * g.dilation[1] - g.pad_begin[1];
            if (h < 0 || h >= g.h || w < 0 || w >= g.w) continue;
            for (int64_t k = 0; k < g.k; ++k)
              for (int64_t c = 0; c < c_group; ++c)
                f(((n * g.h + h) * g.w + w) * g.c + k / k_group * c_group + c,
                  ((k * g.r + r) * g.s + s) * c_group + c, ((n * g.p + p) * g.q + q) * g.k + k);
          }
}

void compute(const ConvGraph& g, const Elements& image, const Elements& weight,
             const Elements& result, const Elements& bias, const Elements& residual) {
  const auto total = [&]() -> int64_t {
    if (g.pass == ConvPass::forward) return g.n * g.p * g.q * g.k;
    return g.pass == ConvPass::backward_data ? g.n * g.h * g.w * g.c
                                             : g.k * g.r * g.s * (g.c / g.groups);
  }();
  std::vector<double> sums(static_cast<size_t>(total));
  const auto sum = [&](int64_t i) -> double& { return sums[static_cast<size_t>(i)]; };
  for_each_product(g, [&](int64_t x, int64_t w, int64_t y) {
    if (g.pass == ConvPass::forward)
      sum(y) += image.get(x) * weight.get(w);
    else if (g.pass == ConvPass::backward_data)
      sum(x) += result.get(y) * weight.get(w);
    else
      sum(w) += image.get(x) * result.get(y);
  });
  const Elements& out = g.pass == ConvPass::forward         ? result
                        : g.pass == ConvPass::backward_data ? image
                                                            : weight;
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

Status FakeDnn::propose(const ConvGraph& graph, const cudnn::PlanRules&, size_t most,
                        std::vector<std::unique_ptr<cudnn::Plan>>& plans) {
  const Status status = driver_.count_call();
  if (!status.ok()) return status;
  if (state_.refuses && state_.refuses(graph)) return {Status::Code::failed, "no engine takes it"};
  ++state_.built;
  for (int64_t engine = 1; engine <= state_.engines && plans.size() < most; ++engine)
    plans.push_back(std::make_unique<FakePlan>(graph, state_, engine));
  return {};
}

// As the engine and the bytes of the graph, in hexadecimal: a plan of this process.
Status FakeDnn::save(const cudnn::Plan& plan, std::string& text) {
  text = str(plan.engine);
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
  if (text.size() != 1 + 2 * sizeof graph) return {Status::Code::failed, "a damaged plan"};
  for (size_t i = 0; i < sizeof graph; ++i)
    reinterpret_cast<unsigned char*>(&graph)[i] =
        static_cast<unsigned char>(std::stoi(text.substr(1 + 2 * i, 2), nullptr, 16));
  ++state_.restored;
  plan = std::make_unique<FakePlan>(graph, state_, text[0] - '0');
  return {};
}

Status FakeDnn::make_for_handle(const cudnn::Plan& plan, std::unique_ptr<cudnn::Plan>& made) {
  const Status status = driver_.count_call();
  if (!status.ok()) return status;
  auto again =
      std::make_unique<FakePlan>(static_cast<const FakePlan&>(plan).graph, state_, plan.engine);
  again->has_handle = true;
  made = std::move(again);
  return {};
}

Status FakeDnn::execute(const cudnn::Plan& plan, std::span<const Binding> bindings, void* workspace,
                        gpu::StreamId stream) {
  const ConvGraph g = static_cast<const FakePlan&>(plan).graph;
  std::vector<HostRange> ranges;
  std::vector<Operand> operands;
  const Operand out = g.pass == ConvPass::forward         ? Operand::result
                      : g.pass == ConvPass::backward_data ? Operand::image
                                                          : Operand::weight;
  for (const Binding& binding : bindings) {
    if (reinterpret_cast<uintptr_t>(binding.data) % 16 != 0)
      return {Status::Code::failed, "misaligned pointer"};
    ranges.push_back({binding.data, bytes_of(g, binding.operand), binding.operand == out});
    operands.push_back(binding.operand);
  }
  if (operands.size() != operands_of(g).size())
    return {Status::Code::failed, "an operand is missing, or one too many"};
  if ((plan.workspace > 0) != (workspace != nullptr)) return {Status::Code::failed, "no workspace"};
  if (workspace) ranges.push_back({workspace, plan.workspace, true});
  if (state_.needs_handle && !static_cast<const FakePlan&>(plan).has_handle)
    return {Status::Code::failed, "the plan was not made for this handle"};
  if (state_.breaks && state_.breaks(plan.engine))
    return {Status::Code::failed, "execution failed"};
  ++state_.executed;
  const double takes = state_.milliseconds ? state_.milliseconds(g, plan.engine) : 0;
  return driver_.queue_on_host(
      "cuDNN", stream, std::move(ranges),
      [g, operands, takes, &driver = driver_](std::span<std::byte* const> data) {
        driver.spend(takes);
        const auto find = [&](Operand operand, DType type) {
          for (size_t i = 0; i < operands.size(); ++i)
            if (operands[i] == operand) return Elements(data[i], type);
          return Elements(nullptr, type);
        };
        compute(g, find(Operand::image, g.type),
                find(Operand::weight, g.pass == ConvPass::backward_weight ? g.gradient : g.type),
                find(Operand::result, g.type), find(Operand::bias, DType::f32),
                find(Operand::residual, g.type));
      });
}

}  // namespace graft::cuda::emulator
