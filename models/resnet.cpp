#include "graft/models/resnet.h"

#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/functional/unary.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/layers/modules/linear.h"
#include "graft/layers/modules/sequential.h"
#include "graft/layers/modules/squeeze_excitation.h"
#include "graft/models/squeeze_excitation.h"

namespace graft::models {
namespace {

constexpr int64_t kWidths[4] = {64, 128, 256, 512};

struct BlockOptions {
  int64_t in, width, stride;  // width: of the stage; its blocks give four times that in bottlenecks
  bool project;
};

// conv + bn + relu, twice or three times, with a shortcut added before the last ReLU.
class Block final : public Module {
 public:
  Block(const ResNetConfig& c, const BlockOptions& o) {
    const int64_t out = o.width * (c.bottleneck ? 4 : 1);
    if (c.bottleneck) {
      const int64_t middle = o.width * c.base_width / 64 * c.groups;
      add_layer({o.in, middle, 1, c.stride_in_3x3 ? 1 : o.stride, 0}, c.eps);
      add_layer({middle, middle, 3, c.stride_in_3x3 ? o.stride : 1, 1, 1, c.groups}, c.eps);
      add_layer({middle, out, 1, 1, 0}, c.eps);
    } else {
      add_layer({o.in, o.width, 3, o.stride, 1}, c.eps);
      add_layer({o.width, out, 3, 1, 1}, c.eps);
    }
    if (c.attention == ChannelAttention::squeeze)
      attention_ =
          register_module("se", std::make_shared<SqueezeExcitation>(SqueezeExcitationOptions{
                                    out, rounded_width(static_cast<double>(out) / 16, 8)}));
    if (c.attention == ChannelAttention::eca)
      attention_ = register_module("se", std::make_shared<EfficientChannelAttention>(out));
    if (o.project) add_projection(o, out, c);
  }

  Tensor forward(const Tensor& x) override {
    Tensor shortcut = x;
    if (projection_)
      shortcut = projection_norm_->normalise(*projection_, pool_ ? (*pool_)(x) : x, false);
    Tensor y = x;
    for (size_t i = 0; i < convs_.size(); ++i) {
      const bool last = i + 1 == convs_.size();
      if (last && attention_) break;
      y = norms_[i]->normalise(*convs_[i], y, true, last ? shortcut : Tensor());
    }
    if (!attention_) return y;
    y = (*attention_)(norms_.back()->normalise(*convs_.back(), y, false));
    return functional::relu(functional::add(y, shortcut));
  }

 private:
  void add_layer(const Conv2dOptions& options, double eps) {
    const std::string number = std::to_string(convs_.size() + 1);
    convs_.push_back(register_module("conv" + number, std::make_shared<Conv2d>(options)));
    norms_.push_back(register_module(
        "bn" + number,
        std::make_shared<BatchNorm2d>(BatchNorm2dOptions{options.out_channels, eps})));
  }

  void add_projection(const BlockOptions& o, int64_t out, const ResNetConfig& c) {
    const auto downsample = register_module("downsample", std::make_shared<Sequential>());
    downsample->mark_run_by_parts();
    if (c.average_down) {
      const ops::AveragePoolAttributes pool{ops::square_window(2, 2), true, false};
      pool_ = std::make_shared<Function>([pool, strides = o.stride == 2](const Tensor& x) {
        return strides ? functional::average_pool(x, pool) : x;
      });
      downsample->append(pool_);
    }
    projection_ =
        std::make_shared<Conv2d>(Conv2dOptions{o.in, out, 1, c.average_down ? 1 : o.stride, 0});
    projection_norm_ = std::make_shared<BatchNorm2d>(BatchNorm2dOptions{out, c.eps});
    downsample->append(projection_);
    downsample->append(projection_norm_);
  }

  std::vector<std::shared_ptr<Conv2d>> convs_;
  std::vector<std::shared_ptr<BatchNorm2d>> norms_;
  std::shared_ptr<Module> attention_, pool_;
  std::shared_ptr<Conv2d> projection_;
  std::shared_ptr<BatchNorm2d> projection_norm_;
};

ops::MaxPoolAttributes stem_pool(const ResNetConfig& config) {
  ops::MaxPoolAttributes attributes{.window = ops::square_window(3, 2, 0)};
  attributes.window.pad_begin = {config.pool_pad_begin, config.pool_pad_begin, 0};
  attributes.window.pad_end = {config.pool_pad_end, config.pool_pad_end, 0};
  return attributes;
}

}  // namespace

ResNet::ResNet(const ResNetConfig& config) : config_(config) {
  GRAFT_CHECK(
      config.stages >= 1 && config.stages <= 4 && config.in_channels >= 1 && config.classes >= 0,
      "ResNet: ", config.stages, " stages, ", config.in_channels, " input channels, ",
      config.classes, " classes");
  GRAFT_CHECK(config.stem.empty() || (config.stem.back() == 64 && !config.small_stem),
              "ResNet: a stem of widths ", join(config.stem), ", expected the last to be 64");
  GRAFT_CHECK(config.groups >= 1 && config.base_width >= 1 &&
                  (config.bottleneck || (config.groups == 1 && config.base_width == 64)),
              "ResNet: ", config.groups, " groups of ", config.base_width,
              " channels; basic blocks have one of 64");
  GRAFT_CHECK(config.base_width <= 512 && config.groups <= 2048 / config.base_width,
              "ResNet: ", config.groups, " groups of ", config.base_width,
              " channels are too many");
  for (const int64_t width : config.stem)
    GRAFT_CHECK(width >= 1 && width <= 1024, "ResNet: a stem of width ", width);
  build_stem();
  stages_ = {"stem"};
  int64_t in = 64;
  for (size_t stage = 0; stage < static_cast<size_t>(config.stages); ++stage) {
    const auto layer = std::make_shared<Sequential>();
    const int64_t width = kWidths[stage], out = width * (config.bottleneck ? 4 : 1);
    for (int64_t block = 0; block < config.depths[stage]; ++block, in = out) {
      const int64_t stride = block == 0 && stage > 0 ? 2 : 1;
      layer->append(std::make_shared<Block>(
          config, BlockOptions{in, width, stride, stride != 1 || in != out}));
    }
    stages_.push_back("layer" + std::to_string(stage + 1));
    register_module(stages_.back(), layer);
  }
  stages_.push_back("pool");
  if (config.classes > 0) {
    register_module("fc", std::make_shared<Linear>(in, config.classes));
    stages_.push_back("fc");
  }
}

void ResNet::build_stem() {
  const int64_t in = config_.in_channels;
  const auto last_norm = std::make_shared<BatchNorm2d>(BatchNorm2dOptions{64, config_.eps});
  if (config_.stem.empty()) {
    const Conv2dOptions options =
        config_.small_stem ? Conv2dOptions{in, 64, 3, 1, 1} : Conv2dOptions{in, 64, 7, 2, 3};
    stem_.push_back({register_module("conv1", std::make_shared<Conv2d>(options)), last_norm});
  } else {
    const auto convs = register_module("conv1", std::make_shared<Sequential>());
    convs->mark_run_by_parts();
    int64_t from = in;
    for (size_t i = 0; i < config_.stem.size(); from = config_.stem[i++]) {
      const int64_t width = config_.stem[i];
      const auto conv = std::make_shared<Conv2d>(Conv2dOptions{from, width, 3, i == 0 ? 2 : 1, 1});
      convs->append(conv);
      if (i + 1 == config_.stem.size()) {
        stem_.push_back({conv, last_norm});
        break;
      }
      const auto norm = std::make_shared<BatchNorm2d>(BatchNorm2dOptions{width, config_.eps});
      const auto relu = std::make_shared<Function>(
          [](const Tensor& x) { return functional::relu(x); });  // a name: the norm does it
      relu->mark_run_by_parts();
      convs->append(norm);
      convs->append(relu);
      stem_.push_back({conv, norm});
    }
  }
  register_module("bn1", last_norm);
}

int64_t ResNet::features() const {
  return kWidths[config_.stages - 1] * (config_.bottleneck ? 4 : 1);
}

void ResNet::replace_head(int64_t classes) {
  GRAFT_CHECK(classes >= 1, "a head needs at least one class, got ", classes);
  const auto head = std::make_shared<Linear>(features(), classes);
  if (config_.classes > 0) {
    replace_child("fc", head);
  } else {
    register_module("fc", head);
    stages_.push_back("fc");
  }
  config_.classes = classes;
}

std::vector<std::string> ResNet::stage_paths(size_t stage) const {
  const std::string& name = stages_.at(stage);
  if (name == "stem") return {"conv1", "bn1"};
  if (name == "pool") return {};
  return {name};
}

Tensor ResNet::run_stem(const Tensor& x) {
  Tensor y = x;
  for (const auto& [conv, norm] : stem_) y = norm->normalise(*conv, y, true);
  return y;
}

std::vector<Tensor> ResNet::stage_values(const Tensor& x, size_t stage) {
  if (stage > 0 || config_.small_stem) return StagedNetwork::stage_values(x, stage);
  const Tensor map = run_stem(x);
  return {map, functional::max_pool(map, stem_pool(config_))};
}

Tensor ResNet::run_stage(const std::string& stage, const Tensor& x) {
  if (stage == "stem")
    return config_.small_stem ? run_stem(x) : functional::max_pool(run_stem(x), stem_pool(config_));
  if (stage == "pool") return functional::flatten(functional::global_average_pool(x));
  return (*find(stage))(x);
}

Tensor ResNet::forward_stages(const Tensor& x, size_t begin, size_t end) {
  GRAFT_CHECK(begin <= end && end <= stages_.size(), "stages [", begin, ", ", end, ") of ",
              stages_.size());
  GRAFT_CHECK(begin > 0 || (x.rank() == 4 && x.shape()[1] == config_.in_channels), config_.name,
              ": input ", x.shape(), ", expected [N,", config_.in_channels, ",H,W]");
  Tensor y = x;
  for (size_t stage = begin; stage < end; ++stage) y = run_stage(stages_[stage], y);
  return y;
}

}  // namespace graft::models
