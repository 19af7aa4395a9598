// Fusions of training that graft does not use: does cuDNN build them for the described H200? Batch
// norm's statistics behind a convolution (genstats), and the norm before it with its ReLU as the
// convolution's prologue. docs/cuda.md says what came out.
#include <dlfcn.h>
#include <gtest/gtest.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "graft/core/base/file_system.h"
#include "graft/kernels/cuda/cudnn/descriptor.h"
#include "graft/tests/kernels/cuda/conv_layers.h"

namespace graft {
namespace {

using cudnn::ConvGraph;
using cudnn::Descriptor;
using cudnn::api::Kind;
using cudnn::api::Name;

// Of cuDNN's interface, beyond what graft itself declares (cudnn_graph.h).
constexpr auto kGenerateStatistics = static_cast<Kind>(14);
constexpr auto kMultiply = static_cast<cudnn::api::PointwiseMode>(1);
constexpr auto kStatisticsMode = static_cast<Name>(770),
               kStatisticsPrecision = static_cast<Name>(771), kStatisticsX = static_cast<Name>(772),
               kStatisticsSum = static_cast<Name>(773), kStatisticsSquares = static_cast<Name>(774);
constexpr auto kStatisticsModeType = static_cast<cudnn::api::Type>(16);

// y = conv(relu(x * scale + shift)), and the sums of y and of its squares.
class Fusion {
 public:
  Fusion(const cudnn::api::Library& library, const ConvGraph& conv, bool prologue, bool statistics)
      : library_(library), conv_(conv) {
    parts_.reserve(32);
    const std::array<int64_t, 4> x{conv.n, conv.c, conv.h, conv.w},
        y{conv.n, conv.k, conv.p, conv.q}, w{conv.k, conv.c, conv.r, conv.s};
    const Descriptor* image = &tensor(x, type());
    if (prologue) {
      image = &follow(kMultiply, *image, &tensor({1, conv.c, 1, 1}, type()), x);
      image =
          &follow(cudnn::api::PointwiseMode::add, *image, &tensor({1, conv.c, 1, 1}, type()), x);
      image = &follow(cudnn::api::PointwiseMode::relu, *image, nullptr, x);
    }
    const Descriptor &filters = tensor(w, type()), &result = tensor(y, type());
    Descriptor& how = part(Kind::convolution);
    how.set(Name::convolution_type, cudnn::api::DataType::f32)
        .set(Name::convolution_mode, cudnn::api::ConvolutionMode::cross_correlation);
    how.set(Name::convolution_axes, int64_t{2})
        .set<int64_t>(Name::convolution_dilations, conv.dilation)
        .set<int64_t>(Name::convolution_strides, conv.stride);
    how.set<int64_t>(Name::convolution_pre_paddings, conv.pad_begin)
        .set<int64_t>(Name::convolution_post_paddings, conv.pad_end)
        .finalize();
    Descriptor& forward = operation(Kind::convolution_forward);
    forward.set(Name::forward_convolution, how)
        .set(Name::forward_x, *image)
        .set(Name::forward_w, filters)
        .set(Name::forward_y, result);
    forward.set(Name::forward_alpha, 1.f).set(Name::forward_beta, 0.f).finalize();
    if (!statistics) return;
    const Descriptor &sum = tensor({1, conv.k, 1, 1}, cudnn::api::DataType::f32),
                     &squares = tensor({1, conv.k, 1, 1}, cudnn::api::DataType::f32);
    Descriptor& made = operation(kGenerateStatistics);
    const int mode = 0;  // sum and sum of squares
    if (library.set(made.id(), kStatisticsMode, kStatisticsModeType, 1, &mode) !=
        cudnn::api::Result::success)
      throw cudnn::Refused{"the mode"};
    made.set(kStatisticsPrecision, cudnn::api::DataType::f32)
        .set(kStatisticsX, result)
        .set(kStatisticsSum, sum)
        .set(kStatisticsSquares, squares)
        .finalize();
  }

  // "" when an engine builds, else the reasons.
  std::string build(const Descriptor& device) {
    std::string reasons;
    Descriptor graph(library_, Kind::graph);
    graph.set_descriptors(Name::graph_operations, operations_).finalize();
    for (const auto mode : {cudnn::api::HeuristicsMode::a, cudnn::api::HeuristicsMode::fallback}) {
      std::vector<Descriptor> configs;
      try {
        Descriptor heuristics(library_, Kind::heuristics);
        heuristics.set(Name::heuristics_graph, graph)
            .set(Name::heuristics_mode, mode)
            .set(Name::heuristics_device, device)
            .finalize();
        for (int i = 0; i < 8; ++i) configs.emplace_back(library_, Kind::engine_config);
        heuristics.get_descriptors(Name::heuristics_results, configs);
      } catch (const cudnn::Refused& refused) {
        reasons += refused.why + "; ";
        continue;
      }
      for (const Descriptor& config : configs) try {
          Descriptor plan(library_, Kind::plan);
          plan.set(Name::plan_config, config).finalize();
          return "";
        } catch (const cudnn::Refused& refused) {
          reasons += refused.why + "; ";
        }
    }
    return reasons.empty() ? "no engine" : reasons;
  }

 private:
  cudnn::api::DataType type() const {
    return conv_.type == DType::bf16 ? cudnn::api::DataType::bf16 : cudnn::api::DataType::f16;
  }
  Descriptor& part(Kind kind) { return parts_.emplace_back(library_, kind); }
  Descriptor& operation(Kind kind) {
    Descriptor& made = part(kind);
    operations_.push_back(made.id());
    return made;
  }
  const Descriptor& tensor(const std::array<int64_t, 4>& e, cudnn::api::DataType data,
                           bool inner = false) {
    const std::array<int64_t, 4> strides{e[1] * e[2] * e[3], 1, e[1] * e[3], e[1]};
    Descriptor& made = part(Kind::tensor);
    made.set(Name::tensor_id, ++next_)
        .set(Name::tensor_type, data)
        .set(Name::tensor_alignment, int64_t{16});
    made.set<int64_t>(Name::tensor_extents, e).set<int64_t>(Name::tensor_strides, strides);
    if (inner) made.set(Name::tensor_virtual, true);
    return made.finalize();
  }
  // What lies between is of the images' type: with float32 there, cuDNN 9.19 has no engine for the
  // prologue.
  const Descriptor& follow(cudnn::api::PointwiseMode mode, const Descriptor& x,
                           const Descriptor* other, const std::array<int64_t, 4>& extents) {
    const Descriptor& y = tensor(extents, type(), true);
    Descriptor& how = part(Kind::pointwise);
    how.set(Name::pointwise_mode, mode)
        .set(Name::pointwise_precision, cudnn::api::DataType::f32)
        .finalize();
    Descriptor& made = operation(Kind::operation_pointwise);
    made.set(Name::operation_pointwise, how)
        .set(Name::operation_pointwise_x, x)
        .set(Name::operation_pointwise_y, y);
    if (other) made.set(Name::operation_pointwise_b, *other);
    made.finalize();
    return y;
  }

  const cudnn::api::Library& library_;
  const ConvGraph& conv_;
  std::vector<Descriptor> parts_;  // reserved: references stay
  std::vector<cudnn::api::Descriptor> operations_;
  int64_t next_ = 0;
};

// The first 1x1 and the first 3x3 layer of ResNet-50 behind its stem, in both 16-bit types.
TEST(CudnnFusions, WhichBuildForTheDescribedGpu) {
#ifdef __SANITIZE_ADDRESS__  // cuDNN's run-time compiler gives its memory back to nobody
  const struct Quiet {
    Quiet() { __lsan_disable(); }
    ~Quiet() { __lsan_enable(); }
  } quiet;
#endif
  ASSERT_TRUE(dlopen(GRAFT_DRIVER_STUB, RTLD_NOW | RTLD_GLOBAL)) << dlerror();
  std::string why;
  const cudnn::api::Library* const library = cudnn::api::library(why);
  if (!library) GTEST_SKIP() << why;
  const std::string json = read_text_file(std::string(GRAFT_TEST_DATA) + "/gpu/h200.json", 1 << 16);
  Descriptor device(*library, Kind::device);
  device.set<char>(Name::device_json, std::span<const char>(json)).finalize();
  for (const DType type : {DType::bf16, DType::f16}) {
    bool seen[4] = {};
    for (const test::ConvLayer& layer : test::conv_layers("resnet50", 256, type)) {
      const int64_t kernel = layer.forward.r;
      if (layer.first || kernel > 3 || seen[kernel]) continue;
      seen[kernel] = true;
      for (const auto& [prologue, statistics] :
           {std::pair{false, true}, {true, false}, {true, true}}) {
        std::string reasons;
        try {
          reasons = Fusion(*library, layer.forward, prologue, statistics).build(device);
        } catch (const cudnn::Refused& refused) {
          reasons = refused.why;
        }
        EXPECT_EQ(reasons, "") << layer.forward.text()
                               << (prologue ? " with scale, shift and ReLU before it" : "")
                               << (statistics ? " with statistics" : "");
      }
    }
    EXPECT_TRUE(seen[1] && seen[3]);
  }
}

}  // namespace
}  // namespace graft
