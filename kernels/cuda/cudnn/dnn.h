// Dnn: the seam to cuDNN. Graphs go in as plain data, plans come out and run on a stream. Behind it
// stand cuDNN's C backend API (backend.h), and in tests a fake that computes on the host
// (emulator/fake_dnn.h).
#pragma once
#include <array>
#include <compare>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graft/core/tensor/dtype.h"
#include "graft/kernels/cuda/gpu/driver.h"

namespace graft::cudnn {

enum class ConvPass : unsigned char { forward, backward_data, backward_weight };
enum class Activation : unsigned char { none, relu, relu6 };

// One convolution pass with what is fused to it. Images are NHWC, weights KRSC, both of `type`;
// sums are float32.
struct ConvGraph {
  ConvPass pass = ConvPass::forward;
  DType type = DType::f32;      // f32, bf16 or f16
  DType gradient = DType::f32;  // backward_weight: the type dweight is stored in; else f32
  int64_t n = 0, c = 0, h = 0, w = 0, k = 0, p = 0, q = 0, r = 0, s = 0,
          groups = 1;  // all channels, all filters
  std::array<int64_t, 2> stride{1, 1}, pad_begin{}, pad_end{}, dilation{1, 1};
  // forward: y = activation(conv + bias + residual). The bias is float32.
  bool bias = false, residual = false;
  Activation activation = Activation::none;

  auto operator<=>(const ConvGraph&) const = default;
  // One line that says everything; a part of the plan's key on disk.
  std::string text() const;
};

// Which engines may be taken.
struct PlanRules {
  bool tf32 = false;                           // float32 images: products may be rounded to TF32
  bool deterministic = true;                   // the same bits at every run
  int64_t workspace_limit = int64_t{1} << 30;  // in bytes

  auto operator<=>(const PlanRules&) const = default;
  std::string text() const;
};

enum class Operand : unsigned char {
  image,
  weight,
  result,
  bias,
  residual
};  // image: x or dx; weight or dweight; result: y or dy
// What a run of the graph reads and writes, and how large each is.
std::vector<Operand> operands_of(const ConvGraph& graph);
int64_t bytes_of(const ConvGraph& graph, Operand operand);
struct Binding {
  Operand operand;
  void* data;  // on the device
};

class Plan {
 public:
  virtual ~Plan() = default;
  int64_t workspace = 0;  // bytes that a run needs
  int64_t engine = -1;    // cuDNN's number of it
  std::string tag;        // engine with its settings
  bool compiled = false;  // cuDNN compiled its kernel for this graph, which takes seconds
  // The same plan made anew for the library's handle, where only that one runs (PlanCache::run).
  mutable std::unique_ptr<Plan> for_handle;
};

// Not for two threads at once. A plan may not outlive its Dnn.
class Dnn {
 public:
  virtual ~Dnn() = default;
  virtual int64_t version() const = 0;                 // 91900 for 9.19.0
  virtual const std::string& device_text() const = 0;  // what plans depend on, of the device
  // Plans of the first engines, at most `most`, that take the graph under these rules, in the order
  // in which cuDNN proposes them. failed: none does; the message says why.
  virtual gpu::Status propose(const ConvGraph& graph, const PlanRules& rules, size_t most,
                              std::vector<std::unique_ptr<Plan>>& plans) = 0;
  // The first of them.
  gpu::Status build(const ConvGraph& graph, const PlanRules& rules, std::unique_ptr<Plan>& plan);
  // A plan as text, and back. failed: it is of another cuDNN, or damaged.
  virtual gpu::Status save(const Plan& plan, std::string& text) = 0;
  virtual gpu::Status restore(const std::string& text, std::unique_ptr<Plan>& plan) = 0;
  // The plan made anew with the library's handle: plans are made from the device's description, and
  // whether each cuDNN runs those is not written down anywhere. failed: it does not take it so.
  virtual gpu::Status make_for_handle(const Plan& plan, std::unique_ptr<Plan>& made) = 0;
  virtual gpu::Status execute(const Plan& plan, std::span<const Binding> bindings, void* workspace,
                              gpu::StreamId stream) = 0;
};

}  // namespace graft::cudnn
