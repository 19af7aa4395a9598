// cuDNN 9's C backend API as graft uses it: its functions, found in the library at run time, and
// the numbers of its types and attributes. They are cuDNN's binary interface; cuda_cudnn_header.cu
// compares them with cuDNN's header where a build finds one.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace graft::cudnn::api {

using Descriptor = void*;
using Handle = void*;
using Stream = void*;  // cudaStream_t
enum class Result : int { success = 0, execution_failed = 5000, execution_failed_driver = 5001 };

enum class Kind : int {  // cudnnBackendDescriptorType_t
  pointwise = 0,
  convolution = 1,
  engine = 2,
  engine_config = 3,
  heuristics = 4,
  plan = 5,
  knob_choice = 7,
  convolution_forward = 10,
  convolution_backward_weight = 11,
  convolution_backward_data = 12,
  operation_pointwise = 13,
  graph = 15,
  variant_pack = 16,
  tensor = 17,
  device = 38,
};

enum class Type : int {  // cudnnBackendAttributeType_t
  handle = 0,
  data_type = 1,
  boolean = 2,
  int64 = 3,
  float32 = 4,
  float64 = 5,
  pointer = 6,
  convolution_mode = 7,
  heuristics_mode = 8,
  knob_type = 9,
  numerical_note = 11,
  pointwise_mode = 14,
  descriptor = 15,
  behavior_note = 19,
  int32 = 23,
  text = 24,
};

enum class Name : int {  // cudnnBackendAttributeName_t
  pointwise_mode = 0,
  pointwise_precision = 1,
  pointwise_upper_clip = 4,
  convolution_type = 100,
  convolution_mode = 101,
  convolution_dilations = 102,
  convolution_strides = 103,
  convolution_post_paddings = 104,
  convolution_pre_paddings = 105,
  convolution_axes = 106,
  heuristics_mode = 200,
  heuristics_graph = 201,
  heuristics_results = 202,
  heuristics_device = 204,
  config_engine = 300,
  config_knobs = 302,
  plan_handle = 400,
  plan_config = 401,
  plan_workspace = 402,
  plan_json = 405,
  plan_device = 407,
  knob_type = 600,
  knob_value = 601,
  forward_alpha = 700,
  forward_beta = 701,
  forward_convolution = 702,
  forward_w = 703,
  forward_x = 704,
  forward_y = 705,
  data_alpha = 706,
  data_beta = 707,
  data_convolution = 708,
  data_w = 709,
  data_dx = 710,
  data_dy = 711,
  weight_alpha = 712,
  weight_beta = 713,
  weight_convolution = 714,
  weight_dw = 715,
  weight_x = 716,
  weight_dy = 717,
  operation_pointwise = 750,
  operation_pointwise_x = 751,
  operation_pointwise_b = 752,
  operation_pointwise_y = 753,
  graph_operations = 801,
  tensor_alignment = 900,
  tensor_type = 901,
  tensor_extents = 902,
  tensor_strides = 903,
  tensor_id = 906,
  tensor_virtual = 907,
  pack_ids = 1000,
  pack_pointers = 1001,
  pack_workspace = 1003,
  engine_index = 1301,
  engine_numerical_notes = 1303,
  engine_behavior_notes = 1305,
  device_id = 2700,
  device_json = 2702,
};

enum class DataType : int { f32 = 0, f16 = 2, bf16 = 9 };
enum class ConvolutionMode : int { cross_correlation = 1 };
enum class PointwiseMode : int { add = 0, identity = 21, relu = 100 };
enum class HeuristicsMode : int { fallback = 2, a = 3 };
enum class NumericalNote : int {
  tensor_core = 0,
  down_convert_inputs = 1,
  reduced_precision_reduction = 2,
  nondeterministic = 4
};
enum class BehaviorNote : int { runtime_compilation = 0 };

struct Library {
  size_t (*version)();
  const char* (*error_text)(Result);
  void (*last_error)(char* message, size_t size);
  Result (*create)(Handle*);
  Result (*destroy)(Handle);
  Result (*set_stream)(Handle, Stream);
  Result (*create_descriptor)(Kind, Descriptor*);
  Result (*destroy_descriptor)(Descriptor);
  Result (*finalize)(Descriptor);
  Result (*set)(Descriptor, Name, Type, int64_t count, const void* values);
  Result (*get)(Descriptor, Name, Type, int64_t wanted, int64_t* count, void* values);
  Result (*execute)(Handle, Descriptor plan, Descriptor pack);
};

// The oldest cuDNN whose plans can be built for a described device, precompiled engines included.
inline constexpr int64_t kOldestVersion = 91100;

// The library of this machine, loaded when it is first asked for and kept: libcudnn.so.9 where the
// loader finds it, or what GRAFT_CUDNN_LIBRARY names ("off": none). Null with the reason in `why`.
const Library* library(std::string& why);

}  // namespace graft::cudnn::api
