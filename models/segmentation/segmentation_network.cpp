#include "graft/models/segmentation/segmentation_network.h"

#include <algorithm>

#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/movement.h"
#include "graft/models/architecture.h"
#include "graft/models/segmentation/decoder.h"

namespace graft::models {
namespace {

// With strides turned into dilation where the configuration wants it.
EncoderMaps tapped_maps(StagedNetwork& encoder, const SegmentationConfig& config) {
  const Architecture architecture = whole_architecture(config.encoder);
  const std::string name = name_of(architecture);
  const int64_t channels = in_channels_of(architecture), wanted = config.output_stride;
  EncoderMaps maps = maps_of(encoder, channels);
  GRAFT_CHECK(!maps.taps.empty(), name,
              " has no maps at strides 2 to 32 that a decoder could tap: ",
              maps.end.empty() ? std::string("its stages give one number a channel") : maps.end);
  if (wanted == 0 || maps.stride() <= wanted) return maps;
  const size_t stages = maps.results.size();
  dilate_strides(encoder, maps, wanted);
  const auto refuse = [&](const std::string& why) {
    bad_input(name, ": its strides beyond ", wanted, " cannot become dilation, because ", why,
              "; the ", config.decoder, " decoder wants a map at stride ", wanted,
              " (unet, fpn and fcn take the network as it is)");
  };
  try {
    maps = maps_of(encoder, channels);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::resource) throw;
    refuse(error.what());
  }
  if (maps.stride() != wanted || maps.results.size() != stages)
    refuse("not convolutions alone stride");
  return maps;
}

}  // namespace

std::string segmentation_name(const SegmentationConfig& config) {
  return config.decoder + "_" + name_of(whole_architecture(config.encoder));
}

SegmentationNetwork::SegmentationNetwork(const SegmentationConfig& config) : config_(config) {
  GRAFT_CHECK(config.classes >= 1 && config.height >= 1 && config.width >= 1,
              segmentation_name(config), ": ", config.classes, " classes, images of ",
              config.height, "x", config.width);
  const Architecture encoder = whole_architecture(config.encoder);
  GRAFT_CHECK(classes_of(encoder) == 0, segmentation_name(config), ": its encoder has a head for ",
              classes_of(encoder), " classes");
  const DecoderKind& kind = decoder_kind(config.decoder);
  encoder_ = make_network(encoder);
  const EncoderMaps maps = tapped_maps(*encoder_, config);
  taps_ = kind.uses(maps.taps);
  results_ = maps.results;
  results_.resize(taps_.back().stage + 1);
  divisor_ = maps.stride();
  GRAFT_CHECK(config.height % divisor_ == 0 && config.width % divisor_ == 0,
              segmentation_name(config), ": images of ", config.height, "x", config.width,
              ", expected sides that ", divisor_, " divides");
  if (config_.widths.empty()) config_.widths = kind.widths(taps_);
  decoder_ = kind.make({taps_, config_.widths, config_.classes});
  config_.encoder = encoder_architecture(without_values(encoder));
  register_nameless_module("encoder", encoder_);
  register_module("decoder", decoder_);
  stages_ = encoder_->stages();
  stages_.resize(results_.size());
  stages_.push_back("decoder");
}

std::vector<std::string> SegmentationNetwork::stage_paths(size_t stage) const {
  GRAFT_CHECK(stage < stages_.size(), "stage ", stage, " of ", stages_.size());
  if (stage == encoder_stages()) return {"decoder"};
  return encoder_->stage_paths(stage);
}

void SegmentationNetwork::check_image(const Tensor& x) const {
  const int64_t channels = in_channels_of(whole_architecture(config_.encoder));
  GRAFT_CHECK(x.rank() == 4 && x.size(1) == channels, segmentation_name(config_), ": input ",
              x.shape(), ", expected [N,", channels, ",H,W]");
  GRAFT_CHECK(x.size(2) >= divisor_ && x.size(3) >= divisor_ && x.size(2) % divisor_ == 0 &&
                  x.size(3) % divisor_ == 0,
              segmentation_name(config_), ": an image of ", x.size(2), "x", x.size(3),
              ", expected sides that ", divisor_, " divides");
}

std::vector<size_t> SegmentationNetwork::carried_to(size_t stage) const {
  std::vector<size_t> carried;
  for (size_t i = 0; i < taps_.size(); ++i) {
    const bool is_running = taps_[i].is_result && taps_[i].stage + 1 == stage;
    if (taps_[i].stage < stage && !is_running) carried.push_back(i);
  }
  return carried;
}

Shape SegmentationNetwork::map_shape(const EncoderMap& map, int64_t images) const {
  return {images, map.channels, config_.height / map.stride, config_.width / map.stride};
}

Tensor SegmentationNetwork::pack(const Tensor& running, const std::vector<Tensor>& taps,
                                 size_t stage) const {
  const std::vector<size_t> carried = carried_to(stage);
  if (carried.empty()) return running;
  std::vector<Tensor> parts;
  for (const size_t i : carried) parts.push_back(taps[i]);
  parts.push_back(running);
  for (size_t k = 0; k < parts.size(); ++k) {
    const Shape fixed =
        map_shape(k < carried.size() ? taps_[carried[k]] : results_[stage - 1], running.size(0));
    GRAFT_CHECK(parts[k].shape() == fixed, segmentation_name(config_), ": a map ", parts[k].shape(),
                " behind stage ", stages_[stage - 1], ", expected ", fixed,
                ": stage by stage the network takes images of ", config_.height, "x", config_.width,
                " alone");
    parts[k] = functional::flatten(parts[k]);
  }
  const Tensor flat = functional::concat(parts, 1);
  return functional::to_format(functional::reshape(flat, {flat.size(0), flat.size(1), 1, 1}),
                               running.format());
}

Tensor SegmentationNetwork::unpack(const Tensor& packed, std::vector<Tensor>& taps,
                                   size_t stage) const {
  const std::vector<size_t> carried = carried_to(stage);
  Tensor running = packed;
  if (!carried.empty()) {
    std::vector<Shape> shapes;
    for (const size_t i : carried) shapes.push_back(map_shape(taps_[i], packed.size(0)));
    shapes.push_back(map_shape(results_[stage - 1], packed.size(0)));
    std::vector<int64_t> sizes;
    int64_t all = 0;
    for (const Shape& shape : shapes) {
      sizes.push_back(shape.product(1, 4));
      all += sizes.back();
    }
    GRAFT_CHECK(
        packed.rank() == 4 && packed.size(1) == all && packed.size(2) == 1 && packed.size(3) == 1,
        segmentation_name(config_), ": ", packed.shape(), " before stage ", stages_[stage],
        ", expected [N,", all, ",1,1]");
    std::vector<Tensor> parts = functional::split(functional::flatten(packed), sizes, 1);
    for (size_t k = 0; k < parts.size(); ++k)
      parts[k] = functional::to_format(functional::reshape(parts[k], shapes[k]), packed.format());
    for (size_t k = 0; k < carried.size(); ++k) taps[carried[k]] = parts[k];
    running = parts.back();
  }
  for (size_t i = 0; i < taps_.size(); ++i)
    if (taps_[i].is_result && taps_[i].stage + 1 == stage) taps[i] = running;
  return running;
}

Tensor SegmentationNetwork::run_stage(const Tensor& x, size_t stage, std::vector<Tensor>& taps) {
  const bool tapped_within = std::any_of(taps_.begin(), taps_.end(), [&](const EncoderMap& tap) {
    return tap.stage == stage && !tap.is_result;
  });
  const std::vector<Tensor> values =
      tapped_within ? encoder_->stage_values(x, stage)
                    : std::vector<Tensor>{encoder_->forward_stages(x, stage, stage + 1)};
  for (size_t i = 0; i < taps_.size(); ++i)
    if (taps_[i].stage == stage) taps[i] = tapped_within ? values[taps_[i].value] : values.back();
  return values.back();
}

Tensor SegmentationNetwork::forward_stages(const Tensor& x, size_t begin, size_t end) {
  GRAFT_CHECK(begin <= end && end <= stages_.size(), "stages [", begin, ", ", end, ") of ",
              stages_.size());
  if (begin == end) return x;
  std::vector<Tensor> taps(taps_.size());
  if (begin == 0) check_image(x);
  Tensor y = begin == 0 ? x : unpack(x, taps, begin);
  for (size_t stage = begin; stage < std::min(end, encoder_stages()); ++stage)
    y = run_stage(y, stage, taps);
  return end == stages_.size() ? decoder_->decode(taps) : pack(y, taps, end);
}

}  // namespace graft::models
