// SegmentationNetwork: an encoder whose maps a decoder taps; logits for every pixel of the image.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/models/segmentation/encoder_maps.h"
#include "graft/models/segmentation/segmentation_config.h"

namespace graft::models {

class Decoder;

// Stages: the encoder's up to the last map that is tapped, then decoder. The encoder's tensors keep
// their names, the decoder's stand under "decoder.".
//
// Between two stages one tensor is handed on. Where the decoder taps maps of stages before, it is
// [N,M,1,1]: those maps, flattened, and the running value behind them, each in NCHW order, of
// images of the configuration's height and width. Its memory format is that of the maps.
class GRAFT_API SegmentationNetwork final : public StagedNetwork {
 public:
  // bad_input naming the network when it has no maps to tap, or cannot be dilated as wanted.
  explicit SegmentationNetwork(const SegmentationConfig& config);

  const std::vector<std::string>& stages() const override { return stages_; }
  // The whole network, [0, stages): [N,C,H,W] of any sides that divisor() divides -> logits
  // [N,classes,H,W]. bad_input for other sides.
  Tensor forward_stages(const Tensor& x, size_t begin, size_t end) override;
  std::vector<std::string> stage_paths(size_t stage) const override;
  bool looks_at_values() const override { return encoder_->looks_at_values(); }

  const SegmentationConfig& config() const { return config_; }
  StagedNetwork& encoder() { return *encoder_; }
  Decoder& decoder() { return *decoder_; }
  // The maps that the decoder takes.
  const std::vector<EncoderMap>& taps() const { return taps_; }
  int64_t divisor() const { return divisor_; }

 private:
  size_t encoder_stages() const { return stages_.size() - 1; }
  // The taps that go beside what stage - 1 gives.
  std::vector<size_t> carried_to(size_t stage) const;
  void check_image(const Tensor& x) const;
  Tensor run_stage(const Tensor& x, size_t stage, std::vector<Tensor>& taps);
  Tensor pack(const Tensor& running, const std::vector<Tensor>& taps, size_t stage) const;
  Tensor unpack(const Tensor& packed, std::vector<Tensor>& taps, size_t stage) const;
  Shape map_shape(const EncoderMap& map, int64_t images) const;

  SegmentationConfig config_;
  std::shared_ptr<StagedNetwork> encoder_;
  std::shared_ptr<Decoder> decoder_;
  std::vector<std::string> stages_;
  std::vector<EncoderMap> taps_;
  std::vector<EncoderMap> results_;  // of each of the encoder's stages
  int64_t divisor_ = 1;
};

// "unet_resnet18".
GRAFT_API std::string segmentation_name(const SegmentationConfig& config);

}  // namespace graft::models
