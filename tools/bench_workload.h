// What graft bench times: a network's steps on made-up images, or batches of a loader.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graft/tools/device.h"
#include "graft/tools/network.h"
#include "graft/train/features.h"
#include "graft/train/optimizer.h"
#include "graft/train/training_step.h"

namespace graft::tools {

struct BenchFlags {
  std::string file{};  // what imports; "": a network by its name
  std::string model = "resnet50", optimizer = "sgd", precision = "fp32";
  DeviceFlags device{};
  // 0: as the file says; 224 images' pixels and 1000 classes for a network by its name.
  int64_t image_size = 0, classes = 0;
  int64_t batch = 32, iterations = 10;
  std::string loader, augment = "light";
  int workers = 0;
  bool cached = false;
  bool train = false, probe = false, json = false, worker = false, profile = false,
       no_graph = false;
  int threads = 0;
};

// One workload, one step of it at a time.
class Workload {
 public:
  Workload(const BenchFlags& flags, Device device);
  ~Workload();

  // Done on return, on a device too.
  void step();
  // After a step: says on stderr when a plan could not keep to the precision asked for.
  void say_refusal(const std::string& precision) const;
  // Whether steps repeat what the device has recorded.
  bool is_recorded() const;
  bool is_to_be_recorded() const;
  int64_t image_height() const { return image_height_; }
  int64_t image_width() const { return image_width_; }
  // "resnet50"; "none" of a loader.
  const std::string& name() const { return name_; }
  // How the network runs: "native", "graph", or "none" of a loader.
  const char* kind() const { return kind_; }

 private:
  void make_network(const BenchFlags& flags);
  void make_images(const BenchFlags& flags);
  void prepare_inference(const BenchFlags& flags);
  void prepare_training(const BenchFlags& flags);
  void give_statistics();
  void open_loader(const BenchFlags& flags);
  void start_step();
  void training_step();
  void next_batch();

  Device device_;
  std::unique_ptr<train::BatchLoader> loader_;
  int64_t epoch_ = 0, batch_, image_height_ = 0, image_width_ = 0;
  std::string name_ = "none";
  const char* kind_ = "none";
  Tensor features_;  // of the frozen backbone, when they are computed once
  bool train_;
  DType activations_;
  models::Model model_;
  Tensor x_;
  train::Targets targets_;
  std::optional<train::PrefixRunner> run_;
  std::unique_ptr<train::Optimizer> optimizer_;
  bool repeats_;
  std::shared_ptr<train::Task> task_;
  std::optional<train::TrainingStep> step_;
  size_t first_ = 0;
};

std::vector<double> time_steps(Workload& workload, int64_t count);  // seconds of each

}  // namespace graft::tools
