// Softmax cross-entropy, loss and gradient in one pass over the logits: a block has one row. A
// label that is no class makes the loss NaN (the host cannot look at labels on the device without
// waiting).
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/device/block_sum.h"
#include "graft/kernels/cuda/device/launch.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

// What the sums of a loss are divided by: the class weights of all labels. One block.
struct LabelWeights {
  static constexpr const char* name = "cross_entropy, divisor";
  static constexpr bool cooperates = true;
  struct Args {
    Span<const int64_t> labels;
    Span<const float> class_weights;
    Span<float> divisor;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto scratch = t.template shared<float>(32);
    float sum = 0;
    for (int64_t n = t.thread(); n < a.labels.size; n += t.threads()) {
      const int64_t label = a.labels.load(n);
      sum += label >= 0 && label < a.class_weights.size ? a.class_weights.load(label) : NAN;
    }
    sum = block_reduce<Sum>(t, scratch, sum);
    if (t.thread() == 0) a.divisor.store(0, sum);
  }
};

template <class T>
struct CrossEntropyRow {
  static constexpr const char* name = "cross_entropy";
  static constexpr bool cooperates = true;
  struct Args {
    Span<const T> logits;             // [rows, classes]
    Span<const int64_t> labels;       // [rows], or empty: probabilities
    Span<const T> probabilities;      // like logits
    Span<const float> class_weights;  // or empty: 1
    Span<const float> divisor;        // one number, or empty: `rows`
    Span<float> row_loss;             // [rows], undivided
    Span<T> dlogits;                  // or empty
    int64_t classes;
    float smoothing, rows;  // rows 1: sums are not divided
  };

  // The weighted target of class c.
  GRAFT_HD static float target(const Args& a, int64_t row, int64_t label, int64_t c) {
    const float given =
        a.labels ? (c == label ? 1.f : 0.f) : to_float(a.probabilities.load(row * a.classes + c));
    const float smooth = a.smoothing / static_cast<float>(a.classes) + (1.f - a.smoothing) * given;
    return a.class_weights ? smooth * a.class_weights.load(c) : smooth;
  }

  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto scratch = t.template shared<float>(32);
    const int64_t row = t.block(), first = row * a.classes;
    const int64_t label = a.labels ? a.labels.load(row) : 0;
    float top = Maximum::identity;
    for (int64_t c = t.thread(); c < a.classes; c += t.threads())
      top = Maximum::of(top, to_float(a.logits.load(first + c)));
    top = block_reduce<Maximum>(t, scratch, top);
    float sum = 0;
    for (int64_t c = t.thread(); c < a.classes; c += t.threads())
      sum += expf(to_float(a.logits.load(first + c)) - top);
    const float log_sum = logf(block_reduce<Sum>(t, scratch, sum));
    float loss = 0, mass = 0;
    for (int64_t c = t.thread(); c < a.classes; c += t.threads()) {
      const float q = target(a, row, label, c);
      loss -= q * (to_float(a.logits.load(first + c)) - top - log_sum);
      mass += q;
    }
    loss = block_reduce<Sum>(t, scratch, loss);
    mass = block_reduce<Sum>(t, scratch, mass);
    const bool bad = label < 0 || label >= a.classes;
    if (t.thread() == 0) a.row_loss.store(row, bad ? NAN : loss);
    if (!a.dlogits) return;
    const float scale = 1.f / (a.divisor ? a.divisor.load(0) : a.rows);
    for (int64_t c = t.thread(); c < a.classes; c += t.threads()) {
      const float slope = mass * expf(to_float(a.logits.load(first + c)) - top - log_sum) -
                          target(a, row, label, c);
      a.dlogits.store(first + c, from_float<T>(bad ? NAN : slope * scale));
    }
  }
};

// loss = the sum of all rows / divisor. One block.
template <class T>
struct SumRows {
  static constexpr const char* name = "cross_entropy, sum";
  static constexpr bool cooperates = true;
  struct Args {
    Span<const float> row_loss, divisor;
    Span<T> loss;
    float rows;
  };
  template <class Thread>
  GRAFT_HD static void run(Thread& t, const Args& a) {
    const auto scratch = t.template shared<float>(32);
    float sum = 0;
    for (int64_t n = t.thread(); n < a.row_loss.size; n += t.threads()) sum += a.row_loss.load(n);
    sum = block_reduce<Sum>(t, scratch, sum);
    if (t.thread() == 0)
      a.loss.store(0, from_float<T>(sum / (a.divisor ? a.divisor.load(0) : a.rows)));
  }
};

const char* declines_cross_entropy(const ExecContext&, const ops::CrossEntropyForwardArgs& args) {
  if (const char* reason = declines_dtype(args.logits)) return reason;
  if (is_floating(args.target.dtype()) && args.target.dtype() != args.logits.dtype())
    return "probabilities of another dtype";
  return declines_parameter(args.class_weights);
}

void cross_entropy(ExecContext&, ops::CrossEntropyForwardArgs& args) {
  const gpu::OperationName name("cross_entropy");
  gpu::Device& device = device_of(args.logits);
  const TensorOptions floats{.device = args.logits.device()};
  const int64_t rows = args.logits.size(0), classes = args.logits.size(1);
  const bool by_label = !is_floating(args.target.dtype()),
             mean = args.attributes.reduction == ops::Reduction::mean;
  const Span<const float> class_weights = span<float>(args.class_weights);
  const Span<const int64_t> labels = by_label ? span<int64_t>(args.target) : Span<const int64_t>{};
  Tensor row_loss = Tensor::empty({rows}, floats), divisor;
  if (mean && by_label && args.class_weights) {
    divisor = Tensor::empty({1}, floats);
    launch<LabelWeights>(device, 1, kThreads, {labels, class_weights, mutable_span<float>(divisor)},
                         kReduceBytes);
  }
  const Span<const float> divided_by = span<float>(divisor.defined() ? &divisor : nullptr);
  const float count = mean ? static_cast<float>(rows) : 1.f;
  visit_kernel_dtype(args.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch<CrossEntropyRow<T>>(
        device, rows, kThreads,
        {span<T>(args.logits), labels, by_label ? Span<const T>{} : span<T>(args.target),
         class_weights, divided_by, mutable_span<float>(row_loss), mutable_span<T>(args.dlogits),
         classes, static_cast<float>(args.attributes.label_smoothing), count},
        kReduceBytes);
    launch<SumRows<T>>(device, 1, kThreads,
                       {span<float>(row_loss), divided_by, mutable_span<T>(args.loss), count},
                       kReduceBytes);
  });
}

}  // namespace

void register_loss(KernelSet& set) {
  set.loss.cross_entropy.add({"cuda", declines_cross_entropy, cross_entropy});
}

}  // namespace graft::cuda
