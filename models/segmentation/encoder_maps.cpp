#include "graft/models/segmentation/encoder_maps.h"

#include "graft/core/autograd/record.h"
#include "graft/core/runtime/kernel_skip.h"
#include "graft/layers/modules/conv2d.h"

namespace graft::models {
namespace {

constexpr int64_t kProbeSide = 64, kLeastStride = 2, kMostStride = 32;

// 0 where the value is no map at a stride that is a power of two.
int64_t stride_of(const Tensor& value) {
  if (value.rank() != 4 || value.size(2) != value.size(3) || value.size(2) < 1 ||
      kProbeSide % value.size(2) != 0)
    return 0;
  return kProbeSide / value.size(2);
}

// Every value of a stage; false when its result is no map, at which the encoder ends.
bool add_values(const std::vector<Tensor>& values, size_t stage, EncoderMaps& maps) {
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t stride = stride_of(values[i]);
    const bool is_result = i + 1 == values.size();
    if (stride == 0 || stride > kMostStride) {
      if (is_result) return false;
      continue;
    }
    const EncoderMap map{stage, i, is_result, stride, values[i].size(1)};
    if (is_result) maps.results.push_back(map);
    if (stride < kLeastStride || stride < maps.stride()) continue;
    if (!maps.taps.empty() && maps.taps.back().stride == stride) maps.taps.pop_back();
    maps.taps.push_back(map);
  }
  return true;
}

}  // namespace

EncoderMaps maps_of(StagedNetwork& encoder, int64_t in_channels) {
  EncoderMaps maps;
  const bool trained = encoder.training();
  encoder.train(false);
  const NoGradGuard no_grad;
  Tensor x = Tensor::zeros({1, in_channels, kProbeSide, kProbeSide},
                           {.format = MemoryFormat::channels_last});
  const auto run = [&] {
    for (size_t stage = 0; stage < encoder.stages().size(); ++stage) {
      const std::vector<Tensor> values = encoder.stage_values(x, stage);
      if (!add_values(values, stage, maps)) {
        maps.end = str("its stage ", encoder.stages()[stage], " gives ", values.back().shape(),
                       " of an image of ", kProbeSide, "x", kProbeSide);
        return;
      }
      x = values.back();
    }
  };
  if (encoder.looks_at_values()) {
    run();
  } else {
    const auto everything = [](const Tensor&) { return true; };
    const ScopedKernelSkip shapes_alone(everything);
    run();
  }
  encoder.train(trained);
  return maps;
}

void dilate_strides(StagedNetwork& encoder, const EncoderMaps& maps, int64_t output_stride) {
  int64_t dilation = 1, stride_before = 1;
  for (size_t stage = 0; stage < maps.results.size(); ++stage) {
    const int64_t stride = maps.results[stage].stride;
    int64_t within = dilation;  // behind the convolution that would stride it doubles
    for (Module* owner : encoder.stage_modules(stage))
      owner->for_each_module([&](const std::string&, Module& module) {
        auto* conv = dynamic_cast<Conv2d*>(&module);
        if (!conv) return;
        const Conv2dOptions& o = conv->options();
        const bool strides = o.stride > 1 && stride > output_stride;
        conv->set_steps(strides ? 1 : o.stride, o.kernel > 1 ? o.dilation * within : o.dilation);
        if (strides) within = dilation * (stride / stride_before);
      });
    if (stride > output_stride) dilation *= stride / stride_before;
    stride_before = stride;
  }
}

}  // namespace graft::models
