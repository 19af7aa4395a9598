// SGD, Adam, AdamW and RMSprop over all parameters at once: a launch takes up to 36 tensors, a
// block 2,048 elements of one of them. The gradients' norm (for clipping, and to notice what is not
// finite) is two launches before.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/device/block_sum.h"
#include "graft/kernels/cuda/device/launch.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

using ops::OptimizerRule;

struct ParameterSpans {
  Span<float> weight, first, second;
  Span<const float> gradient;
  Span<uint16_t> copy;
  float rate, decay;  // of this parameter: what the rate and the weight decay are multiplied by
  bool copy_is_bf16;
};

// Which tensors a launch has, and which block works on what.
struct ParameterTable {
  static constexpr int most = 36;
  static constexpr int64_t chunk = 2048;
  ParameterSpans parameters[most];
  int32_t first_block[most + 1];  // of each tensor; behind the last: their number
  int count;

  GRAFT_HD int of_block(int64_t block) const {
    int i = 0;
    while (i + 1 < count && block >= first_block[i + 1]) ++i;
    return i;
  }
};

GRAFT_HD uint16_t half_bits(float value, bool bf16) {
  return bf16 ? from_float<bfloat16>(value).bits : from_float<float16>(value).bits;
}

// partial[block] = the sum of squares of the block's gradients.
struct SquareSums {
  static constexpr const char* name = "optimizer, norm";
  static constexpr bool cooperates = true;
  struct Args {
    ParameterTable table;
    Span<float> partial;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto scratch = t.template shared<float>(32);
    const int which = a.table.of_block(t.block());
    const Span<const float> gradient = a.table.parameters[which].gradient;
    const int64_t begin = (t.block() - a.table.first_block[which]) * ParameterTable::chunk;
    float sum = 0;
    for (int64_t i = begin + t.thread(); i < begin + ParameterTable::chunk && i < gradient.size;
         i += t.threads())
      sum += gradient.load(i) * gradient.load(i);
    sum = block_reduce<Sum>(t, scratch, sum);
    if (t.thread() == 0) a.partial.store(t.block(), sum);
  }
};

// norm[0]: the factor for all gradients; 0 when the step is to be left out. One block.
struct ClipFactor {
  static constexpr const char* name = "optimizer, clip factor";
  static constexpr bool cooperates = true;
  struct Args {
    Span<const float> partial, numbers;
    Span<float> factor;
    float max_norm;
    bool skip_if_not_finite;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto scratch = t.template shared<float>(32);
    float sum = 0;
    for (int64_t i = t.thread(); i < a.partial.size; i += t.threads()) sum += a.partial.load(i);
    sum = block_reduce<Sum>(t, scratch, sum);
    if (t.thread() != 0) return;
    const float scale = a.numbers.load(ops::gradient_scale), norm = sqrtf(sum) * scale;
    float factor = scale;
    if (a.max_norm > 0 && norm > a.max_norm) factor *= a.max_norm / norm;
    const bool finite = norm - norm == 0;
    a.factor.store(0, a.skip_if_not_finite && !finite ? 0.f : factor);
  }
};

struct OptimizerStep {
  static constexpr const char* name = "optimizer step";
  static constexpr bool cooperates = false;
  struct Args {
    ParameterTable table;
    Span<const float> numbers, factor;  // factor empty: the gradient scale
    OptimizerRule rule;
    bool nesterov;
    float momentum, weight_decay, rest1, beta2, rest2, eps;
  };

  // The new weight; slots are stored.
  GRAFT_HD static float updated(const Args& a, const ParameterSpans& p, int64_t i, float w,
                                float g) {
    const float rate = a.numbers.load(ops::learning_rate) * p.rate,
                decay = a.weight_decay * p.decay;
    if (a.rule == OptimizerRule::sgd) {
      g += decay * w;
      if (!p.first) return w - rate * g;
      const float v = a.momentum * p.first.load(i) + g;
      p.first.store(i, v);
      return w - rate * (a.nesterov ? g + a.momentum * v : v);
    }
    if (a.rule == OptimizerRule::rmsprop) {
      g += decay * w;
      const float square = a.beta2 * p.first.load(i) + a.rest2 * g * g;
      p.first.store(i, square);
      float change = g / (sqrtf(square) + a.eps);
      if (p.second) {
        change += a.momentum * p.second.load(i);
        p.second.store(i, change);
      }
      return w - rate * change;
    }
    if (a.rule == OptimizerRule::adam) g += decay * w;
    const float old = p.first.load(i);
    const float m = old + (g - old) * a.rest1, v = a.beta2 * p.second.load(i) + a.rest2 * g * g;
    p.first.store(i, m);
    p.second.store(i, v);
    float kept = a.numbers.load(ops::kept);
    if (const float factor = p.rate * p.decay; factor != 1) kept = 1 - (1 - kept) * factor;
    return w * kept - rate * (m / (sqrtf(v) / a.numbers.load(ops::root) + a.eps));
  }

  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const int which = a.table.of_block(t.block());
    const ParameterSpans& p = a.table.parameters[which];
    const float scale = a.factor ? a.factor.load(0) : a.numbers.load(ops::gradient_scale);
    if (scale == 0) return;
    const int64_t begin = (t.block() - a.table.first_block[which]) * ParameterTable::chunk;
    for (int64_t i = begin + t.thread(); i < begin + ParameterTable::chunk && i < p.weight.size;
         i += t.threads()) {
      const float w = updated(a, p, i, p.weight.load(i), p.gradient.load(i) * scale);
      p.weight.store(i, w);
      if (p.copy) p.copy.store(i, half_bits(w, p.copy_is_bf16));
    }
  }
};

Span<float> slot(Tensor& tensor) {
  return tensor.defined() ? mutable_span<float>(tensor) : Span<float>{};
}

// The next tables, each of as many tensors as fit.
template <class F>
void for_each_table(std::span<ops::OptimizerParameter> parameters, F&& f) {
  for (size_t from = 0; from < parameters.size(); from += ParameterTable::most) {
    ParameterTable table{};
    int32_t blocks = 0;
    for (size_t i = from; i < std::min(parameters.size(), from + ParameterTable::most); ++i) {
      ops::OptimizerParameter& p = parameters[i];
      table.first_block[table.count] = blocks;
      table.parameters[table.count++] = {
          mutable_span<float>(p.weight),
          slot(p.first),
          slot(p.second),
          span<float>(p.gradient),
          p.copy.defined() ? mutable_span<uint16_t>(p.copy) : Span<uint16_t>{},
          static_cast<float>(p.rate),
          static_cast<float>(p.decay),
          p.copy.defined() && p.copy.dtype() == DType::bf16};
      blocks += static_cast<int32_t>(ceil_div(p.weight.numel(), ParameterTable::chunk));
    }
    table.first_block[table.count] = blocks;
    f(table, blocks);
  }
}

Tensor clip_factor(gpu::Device& device, const ops::OptimizerStepArgs& args) {
  const TensorOptions options{.device = args.numbers.device()};
  int64_t all = 0;
  for (const ops::OptimizerParameter& p : args.parameters)
    all += ceil_div(p.weight.numel(), ParameterTable::chunk);
  Tensor partial = Tensor::empty({all}, options), factor = args.factor && args.factor->defined()
                                                               ? *args.factor
                                                               : Tensor::empty({1}, options);
  const Span<float> sums = mutable_span<float>(partial);
  int64_t done = 0;
  for_each_table(args.parameters, [&](const ParameterTable& table, int32_t blocks) {
    launch<SquareSums>(device, blocks, kThreads, {table, {sums.data + done, blocks}}, kReduceBytes);
    done += blocks;
  });
  launch<ClipFactor>(
      device, 1, kThreads,
      {span<float>(partial), span<float>(args.numbers), mutable_span<float>(factor),
       static_cast<float>(args.attributes.max_norm), args.attributes.skip_if_not_finite},
      kReduceBytes);
  return factor;
}

const char* declines_step(const ExecContext&, const ops::OptimizerStepArgs& args) {
  if (args.attributes.rule == OptimizerRule::lars || args.attributes.rule == OptimizerRule::lamb)
    return "trust ratios (lars, lamb) are for the CPU";
  for (const ops::OptimizerParameter& p : args.parameters)
    for (const Tensor* t : {&p.weight, &p.gradient, &p.first, &p.second}) {
      if (!t->defined()) continue;
      if (t->dtype() != DType::f32) return "a parameter, gradient or slot is not f32";
      if (t->shape() != p.weight.shape() || t->format() != p.weight.format())
        return "a gradient or slot is not laid out as its parameter";
      if (t->device() != args.numbers.device()) return "tensors on several devices";
    }
  return nullptr;
}

void step(ExecContext&, ops::OptimizerStepArgs& args) {
  const gpu::OperationName name("optimizer step");
  const ops::OptimizerStepAttributes& o = args.attributes;
  gpu::Device& device = device_of(args.numbers);
  Tensor factor;
  if (o.max_norm > 0 || o.skip_if_not_finite || args.factor) factor = clip_factor(device, args);
  if (args.factor) *args.factor = factor;
  for_each_table(args.parameters, [&](const ParameterTable& table, int32_t blocks) {
    launch<OptimizerStep>(
        device, blocks, kThreads,
        {table, span<float>(args.numbers), span<float>(factor.defined() ? &factor : nullptr),
         o.rule, o.nesterov, static_cast<float>(o.momentum),
         static_cast<float>(o.rule == OptimizerRule::adamw ? 0 : o.weight_decay),
         static_cast<float>(1 - o.beta1), static_cast<float>(o.beta2),
         static_cast<float>(1 - o.beta2), static_cast<float>(o.eps)});
  });
}

}  // namespace

void register_optimizer(KernelSet& set) { set.optimizer.step.add({"cuda", declines_step, step}); }

}  // namespace graft::cuda
