// Movements by 1-D convolutions: resumed to the same bits, then taken to other people's sensors.
#include <cstdio>

#include "graft/graft.hpp"
#include "windows.h"
namespace fn = graft::functional;
using namespace graft;
class SensorNet final : public StagedNetwork {  // [N,3,64] -> [N,3]
 public:
  const std::vector<std::string>& stages() const override { return stages_; }
  std::vector<std::string> stage_paths(size_t stage) const override { return {stages_[stage]}; }
  Tensor forward_stages(const Tensor& x, size_t begin, size_t end) override {
    Tensor y = x;
    if (begin == 0 && end > 0) y = fn::relu((*near_)(y));
    if (begin <= 1 && end > 1) y = fn::flatten(fn::global_max_pool((*far_)(y)));
    return end == 3 ? (*fc_)(y) : y;
  }
  std::vector<std::string> stages_{"near", "far", "fc"};
  std::shared_ptr<Conv1d> near_ = register_module("near", make_conv(3, 5)),
                          far_ = register_module("far", make_conv(8, 5));
  std::shared_ptr<Linear> fc_ = register_module("fc", std::make_shared<Linear>(8, 3));
};

struct Learner {
  SensorNet network;
  std::shared_ptr<train::Task> task = train::make_task({}, movements());
  std::unique_ptr<train::Optimizer> adam =
      train::make_optimizer(network.parameters(), {.name = "adam"});
  void learn(const train::Batch& batch, uint64_t first, uint64_t end) {
    train::TrainingStep step(network, 0, *task, *adam, {});
    for (; first < end; ++first) step.run(batch, 1e-2, {.step = first}).read();
  }
  double right(const train::Batch& batch) {
    const auto judged = task->metric();
    judged->add(network(batch.x), batch.targets);
    return judged->score();
  }
};

int main(int, char** argv) {  // names of two files to be written
  const train::Batch many = windows_of(0, 8, 3), few = windows_of(8, 10, 1),
                     others = windows_of(10, 16, 3);
  Learner whole, half, again, scratch;
  half.network.load_state_dict(whole.network.state_dict());
  whole.learn(many, 0, 60);
  half.learn(many, 0, 30);
  io::write_safetensors(argv[1], half.network.state_dict());
  io::write_safetensors(argv[2], half.adam->state());
  again.network.load_state_dict(io::read_weights(argv[1]).tensors);
  again.adam->load_state(io::read_weights(argv[2]).tensors);
  again.learn(many, 30, 60);
  for (const auto& [name, value] : whole.network.state_dict())
    if (again.network.state_dict().at(name).to_doubles() != value.to_doubles()) return 1;
  scratch.learn(few, 0, 60);
  again.network.freeze_stage(0);
  again.learn(few, 60, 90);
  std::printf("same bits; on other people %.4f, from scratch %.4f\n", again.right(others),
              scratch.right(others));
  return again.right(others) > scratch.right(others) ? 0 : 1;
}
