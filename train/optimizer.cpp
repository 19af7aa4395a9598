#include "graft/train/optimizer.h"

#include <cmath>

#include "graft/core/runtime/exec_context.h"

namespace graft::train {
namespace {

constexpr int64_t kChunk = 1 << 16;  // elements a job: fixed, so that the split never depends on the threads

// Runs f(begin, end) over [0, count) in fixed chunks.
template <class F>
void in_chunks(int64_t count, F&& f) {
  current_context().parallel_for(ceil_div(count, kChunk), [&](int64_t chunk) {
    f(chunk * kChunk, std::min(count, (chunk + 1) * kChunk));
  });
}

class SlotOptimizer : public Optimizer {
 public:
  SlotOptimizer(std::vector<NamedTensor> parameters, OptimizerOptions options, std::vector<std::string> slots)
      : parameters_(std::move(parameters)), options_(std::move(options)), slot_names_(std::move(slots)) {
    for (const NamedTensor& parameter : parameters_) {
      GRAFT_CHECK(parameter.tensor.dtype() == DType::f32 || parameter.tensor.dtype() == DType::f64, "optimizer: ", parameter.name,
                  " is ", name_of(parameter.tensor.dtype()), "; float32 or float64 is needed");
      slots_.emplace_back();
      for (size_t i = 0; i < slot_names_.size(); ++i) slots_.back().push_back(Tensor::zeros_like(parameter.tensor));
    }
  }

  void step(double lr) override {
    ++steps_;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      Tensor weight = parameters_[i].tensor;
      const Tensor grad = grad_of(weight);
      if (!grad.defined()) continue;
      GRAFT_CHECK(grad.shape() == weight.shape() && grad.dtype() == weight.dtype(), "optimizer: gradient ", grad.shape(), " for ",
                  parameters_[i].name, " ", weight.shape());
      const Tensor ordered = grad.to(weight.format());
      if (weight.dtype() == DType::f32) update(weight.mutable_data<float>(), ordered.data<float>(), slots_[i], weight.numel(), lr);
      else update(weight.mutable_data<double>(), ordered.data<double>(), slots_[i], weight.numel(), lr);
    }
  }

  StateDict state() const override {
    StateDict state;
    for (size_t i = 0; i < parameters_.size(); ++i)
      for (size_t s = 0; s < slot_names_.size(); ++s) state.add(parameters_[i].name + "/" + slot_names_[s], slots_[i][s]);
    state.add("step", Tensor::of<int64_t>(Shape{}, {steps_}));
    return state;
  }

  void load_state(const StateDict& state) override {
    const size_t expected = parameters_.size() * slot_names_.size() + 1;
    GRAFT_CHECK(state.size() == expected, "the checkpoint's optimizer has ", state.size(), " entries, expected ", expected);
    for (size_t i = 0; i < parameters_.size(); ++i)
      for (size_t s = 0; s < slot_names_.size(); ++s) slots_[i][s].copy_from(state.at(parameters_[i].name + "/" + slot_names_[s]));
    steps_ = static_cast<int64_t>(state.at("step").item());
  }

 protected:
  virtual void update(float* weight, const float* grad, std::vector<Tensor>& slots, int64_t count, double lr) = 0;
  virtual void update(double* weight, const double* grad, std::vector<Tensor>& slots, int64_t count, double lr) = 0;

  std::vector<NamedTensor> parameters_;
  OptimizerOptions options_;
  int64_t steps_ = 0;

 private:
  std::vector<std::string> slot_names_;
  std::vector<std::vector<Tensor>> slots_;  // [parameter][slot]
};

// v = momentum * v + g; w -= lr * v (Nesterov: g + momentum * v). The first v is g, as zeros give it.
class Sgd final : public SlotOptimizer {
 public:
  Sgd(std::vector<NamedTensor> parameters, const OptimizerOptions& options)
      : SlotOptimizer(std::move(parameters), options,
                      options.momentum != 0 ? std::vector<std::string>{"momentum"} : std::vector<std::string>{}) {}

 private:
  template <class T>
  void run(T* weight, const T* grad, std::vector<Tensor>& slots, int64_t count, double lr_) {
    const T lr = static_cast<T>(lr_), decay = static_cast<T>(options_.weight_decay), momentum = static_cast<T>(options_.momentum);
    const bool nesterov = options_.nesterov;
    T* velocity = slots.empty() ? nullptr : slots[0].mutable_data<T>();
    in_chunks(count, [=](int64_t begin, int64_t end) {
      if (!velocity) {
        for (int64_t i = begin; i < end; ++i) weight[i] -= lr * (grad[i] + decay * weight[i]);
      } else {
        for (int64_t i = begin; i < end; ++i) {
          const T g = grad[i] + decay * weight[i];
          const T v = momentum * velocity[i] + g;
          velocity[i] = v;
          weight[i] -= lr * (nesterov ? g + momentum * v : v);
        }
      }
    });
  }
  void update(float* w, const float* g, std::vector<Tensor>& s, int64_t n, double lr) override { run(w, g, s, n, lr); }
  void update(double* w, const double* g, std::vector<Tensor>& s, int64_t n, double lr) override { run(w, g, s, n, lr); }
};

// Kingma & Ba 2015; AdamW: Loshchilov & Hutter 2019. w -= lr / (1-b1^t) * m / (sqrt(v) / sqrt(1-b2^t) + eps).
class Adam final : public SlotOptimizer {
 public:
  Adam(std::vector<NamedTensor> parameters, const OptimizerOptions& options, bool decoupled)
      : SlotOptimizer(std::move(parameters), options, {"mean", "square"}), decoupled_(decoupled) {}

 private:
  template <class T>
  void run(T* weight, const T* grad, std::vector<Tensor>& slots, int64_t count, double lr) {
    const double t = static_cast<double>(steps_);
    const T step = static_cast<T>(lr / (1 - std::pow(options_.beta1, t)));
    const T root = static_cast<T>(std::sqrt(1 - std::pow(options_.beta2, t)));
    const T b2 = static_cast<T>(options_.beta2), eps = static_cast<T>(options_.eps);
    const T rest1 = static_cast<T>(1 - options_.beta1), rest2 = static_cast<T>(1 - options_.beta2);  // 1 - 0.999f is 1.3e-5 off
    const T added = static_cast<T>(decoupled_ ? 0 : options_.weight_decay);
    const T kept = static_cast<T>(decoupled_ ? 1 - lr * options_.weight_decay : 1);
    T *mean = slots[0].mutable_data<T>(), *square = slots[1].mutable_data<T>();
    in_chunks(count, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T w = weight[i] * kept, g = grad[i] + added * weight[i];
        const T m = mean[i] + (g - mean[i]) * rest1;
        const T v = b2 * square[i] + rest2 * g * g;
        mean[i] = m;
        square[i] = v;
        weight[i] = w - step * (m / (std::sqrt(v) / root + eps));
      }
    });
  }
  void update(float* w, const float* g, std::vector<Tensor>& s, int64_t n, double lr) override { run(w, g, s, n, lr); }
  void update(double* w, const double* g, std::vector<Tensor>& s, int64_t n, double lr) override { run(w, g, s, n, lr); }

  bool decoupled_;
};

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(std::vector<NamedTensor> parameters, const OptimizerOptions& o) {
  GRAFT_CHECK(o.momentum >= 0 && o.momentum < 1 && o.weight_decay >= 0, "optimizer: momentum ", o.momentum, ", weight decay ", o.weight_decay);
  GRAFT_CHECK(o.beta1 >= 0 && o.beta1 < 1 && o.beta2 >= 0 && o.beta2 < 1 && o.eps >= 0, "optimizer: betas ", o.beta1, " and ", o.beta2,
              ", eps ", o.eps);
  if (o.name == "sgd") return std::make_unique<Sgd>(std::move(parameters), o);
  if (o.name == "adam") return std::make_unique<Adam>(std::move(parameters), o, false);
  if (o.name == "adamw") return std::make_unique<Adam>(std::move(parameters), o, true);
  bad_input("unknown optimizer '", o.name, "': expected sgd, adam or adamw");
}

}  // namespace graft::train
