#include "graft/benchmarks/gpu/rows.h"
#include "graft/benchmarks/gpu/tensors.h"
#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/registry.h"

namespace graft::bench {
namespace {

enum class Pass : unsigned char { forward, backward_data, backward_weight };

// A layer of ResNet-50 in units of Sizes: channels as multiples of the width (0: of the image, 3),
// its image's side as a divisor of the input's.
struct Layer {
  const char* name;
  int64_t in, out, divisor, filter, stride;
};
// All that differ: 23.
constexpr Layer kLayers[] = {
    {"7x7/2 3>64 @224", 0, 1, 1, 7, 2},        {"1x1 64>64 @56", 1, 1, 4, 1, 1},
    {"3x3 64>64 @56", 1, 1, 4, 3, 1},          {"1x1 64>256 @56", 1, 4, 4, 1, 1},
    {"1x1 256>64 @56", 4, 1, 4, 1, 1},         {"1x1 256>128 @56", 4, 2, 4, 1, 1},
    {"3x3/2 128>128 @56", 2, 2, 4, 3, 2},      {"1x1 128>512 @28", 2, 8, 8, 1, 1},
    {"1x1/2 256>512 @56", 4, 8, 4, 1, 2},      {"1x1 512>128 @28", 8, 2, 8, 1, 1},
    {"3x3 128>128 @28", 2, 2, 8, 3, 1},        {"1x1 512>256 @28", 8, 4, 8, 1, 1},
    {"3x3/2 256>256 @28", 4, 4, 8, 3, 2},      {"1x1 256>1024 @14", 4, 16, 16, 1, 1},
    {"1x1/2 512>1024 @28", 8, 16, 8, 1, 2},    {"1x1 1024>256 @14", 16, 4, 16, 1, 1},
    {"3x3 256>256 @14", 4, 4, 16, 3, 1},       {"1x1 1024>512 @14", 16, 8, 16, 1, 1},
    {"3x3/2 512>512 @14", 8, 8, 16, 3, 2},     {"1x1 512>2048 @7", 8, 32, 32, 1, 1},
    {"1x1/2 1024>2048 @14", 16, 32, 16, 1, 2}, {"1x1 2048>512 @7", 32, 8, 32, 1, 1},
    {"3x3 512>512 @7", 8, 8, 32, 3, 1},
};
constexpr const char* kPasses[] = {"forward", "backward-data", "backward-weight"};

// Whose kernels, by their names among the candidates.
std::vector<const char*> kernels_here() {
  const gpu::Properties& gpu = cuda::device_of(Tensor::empty({1}, {.device = kGpu})).properties();
  if (gpu.major == 9 && gpu.minor == 0) return {"cudnn", "cuda_wgmma", "cuda_tensor"};
  return {"cudnn", "cuda_tensor"};
}

std::string name_of_row(const Layer& layer, Pass pass, std::string_view kernel) {
  return str("conv ", kPasses[static_cast<int>(pass)], " ", kernel, " ", layer.name);
}

// An Error where the kernel declines.
Row convolution(const Sizes& s, const Layer& layer, Pass pass, std::string_view kernel) {
  const int64_t side = s.image / layer.divisor;
  const ops::ConvAttributes attributes{
      ops::square_window(layer.filter, layer.stride, layer.filter / 2)};
  const int64_t in = layer.in == 0 ? 3 : layer.in * s.width;
  Tensor x = noise({s.batch, in, side, side}),
         weight = to_device(
             noise({layer.out * s.width, in, layer.filter, layer.filter}, DType::f32), kGpu);
  Tensor y = noise(ops::conv_output_shape(x.shape(), weight.shape(), attributes));
  const auto context = std::make_shared<ExecContext>(1);
  context->set_kernel_filter([kernel](auto, auto candidate) { return candidate == kernel; });
  const ops::ConvKernels& kernels = kernels_for<ops::ConvKernels>(kGpu);
  const double flops = 2.0 * static_cast<double>(y.numel()) * static_cast<double>(weight.numel()) /
                       static_cast<double>(weight.size(0));
  return {name_of_row(layer, pass, kernel), str("x ", x.shape(), " weight ", weight.shape()), 0,
          flops, [=, &kernels]() mutable {
            if (pass == Pass::forward)
              kernels.forward(*context, {x, weight, nullptr, attributes, y});
            if (pass == Pass::backward_data)
              kernels.backward_data(*context, {y, weight, attributes, x});
            if (pass == Pass::backward_weight)
              kernels.backward_weight(*context, {x, y, attributes, &weight, nullptr});
          }};
}

}  // namespace

std::vector<RowMaker> convolution_rows() {
  const std::vector<const char*> names = kernels_here();
  std::vector<RowMaker> rows;
  for (const Layer& layer : kLayers)
    for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weight})
      for (const char* kernel : names) {
        // wgmma takes channels in eights
        if (layer.in == 0 && std::string_view(kernel) == "cuda_wgmma") continue;
        rows.push_back({name_of_row(layer, pass, kernel),
                        [=](const Sizes& s) { return convolution(s, layer, pass, kernel); }});
      }
  return rows;
}

}  // namespace graft::bench
