// GraphModule: an imported ONNX graph as a network that trains: its forward runs the nodes through
// layers/functional, its parameters and buffers keep the names of the graph's tensors.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/linear.h"
#include "graft/layers/modules/staged_network.h"
#include "graft/models/graph/graph_config.h"

namespace graft::models {

namespace graph {
struct Operator;
}

inline constexpr const char* kGraphHead = "head";

// A graph's input on a device: values and tables go there, single integers and lists of them
// (shapes, axes) stay with the host.
GRAFT_API Tensor input_on(const Tensor& input, Device device);

// Stages: the graph cut at every value through which all data flows, named by the node that
// computes it; behind them, with a head of ours, pool (where the graph ends in a spatial map) and
// head. A BatchNormalization with stored tensors is a BatchNorm2d named as its node, a Dropout node
// a Dropout.
class GRAFT_API GraphModule final : public StagedNetwork {
 public:
  // Tensors are shared with the source. Those without a value start at zero.
  explicit GraphModule(const GraphSource& source);
  // With the configuration's head, or pooling.
  explicit GraphModule(const GraphConfig& config);
  ~GraphModule() override;

  const std::vector<std::string>& stages() const override { return stages_; }
  // For graphs of one input. [N,C,1,1] at the graph's end becomes [N,C]; a map in front of a head
  // of ours is pooled.
  Tensor forward_stages(const Tensor& x, size_t begin, size_t end) override;
  std::vector<std::string> stage_paths(size_t stage) const override;
  bool looks_at_values() const override { return true; }

  const std::vector<GraphInput>& inputs() const;
  const std::vector<std::string>& outputs() const;
  // All outputs for all inputs, in the graph's order and without our head; each operator runs where
  // its inputs lie. bad_input naming the node for what does not fit.
  std::vector<Tensor> run(std::span<const Tensor> inputs);

  // The value that a stage of the graph ends in.
  const std::string& stage_value(size_t stage) const;
  Linear* head() const { return head_.get(); }  // null: the graph's own end

 private:
  struct Program;
  struct Step;
  class StepFuser;
  void put_pool();
  void put_head(int64_t features, int64_t classes);
  void build_stages(const GraphSource& source);
  void register_tensors(const GraphSource& source);
  void fuse_steps();
  void place_inputs(std::span<const int> numbers, const graph::Operator& op,
                    std::vector<Tensor>& inputs);
  static Tensor run_norm(const Step& step, std::span<const Tensor> inputs,
                         const functional::BatchStatistics& statistics);
  void run_steps(size_t begin, size_t end, std::vector<Tensor>& values, bool only_first_output);

  std::unique_ptr<Program> program_;
  std::vector<std::string> stages_;
  std::shared_ptr<Linear> head_;
};

}  // namespace graft::models
