#include "graft/io/tflite/operator_options.h"

#include <array>
#include <iterator>

namespace graft::io::tflite {
namespace {

// BuiltinOperator, by code.
constexpr const char* kOperatorNames[] = {
    "ADD",
    "AVERAGE_POOL_2D",
    "CONCATENATION",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "DEPTH_TO_SPACE",
    "DEQUANTIZE",
    "EMBEDDING_LOOKUP",
    "FLOOR",
    "FULLY_CONNECTED",
    "HASHTABLE_LOOKUP",
    "L2_NORMALIZATION",
    "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION",
    "LOGISTIC",
    "LSH_PROJECTION",
    "LSTM",
    "MAX_POOL_2D",
    "MUL",
    "RELU",
    "RELU_N1_TO_1",
    "RELU6",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RNN",
    "SOFTMAX",
    "SPACE_TO_DEPTH",
    "SVDF",
    "TANH",
    "CONCAT_EMBEDDINGS",
    "SKIP_GRAM",
    "CALL",
    "CUSTOM",
    "EMBEDDING_LOOKUP_SPARSE",
    "PAD",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "GATHER",
    "BATCH_TO_SPACE_ND",
    "SPACE_TO_BATCH_ND",
    "TRANSPOSE",
    "MEAN",
    "SUB",
    "DIV",
    "SQUEEZE",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "STRIDED_SLICE",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "EXP",
    "TOPK_V2",
    "SPLIT",
    "LOG_SOFTMAX",
    "DELEGATE",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "CAST",
    "PRELU",
    "MAXIMUM",
    "ARG_MAX",
    "MINIMUM",
    "LESS",
    "NEG",
    "PADV2",
    "GREATER",
    "GREATER_EQUAL",
    "LESS_EQUAL",
    "SELECT",
    "SLICE",
    "SIN",
    "TRANSPOSE_CONV",
    "SPARSE_TO_DENSE",
    "TILE",
    "EXPAND_DIMS",
    "EQUAL",
    "NOT_EQUAL",
    "LOG",
    "SUM",
    "SQRT",
    "RSQRT",
    "SHAPE",
    "POW",
    "ARG_MIN",
    "FAKE_QUANT",
    "REDUCE_PROD",
    "REDUCE_MAX",
    "PACK",
    "LOGICAL_OR",
    "ONE_HOT",
    "LOGICAL_AND",
    "LOGICAL_NOT",
    "UNPACK",
    "REDUCE_MIN",
    "FLOOR_DIV",
    "REDUCE_ANY",
    "SQUARE",
    "ZEROS_LIKE",
    "FILL",
    "FLOOR_MOD",
    "RANGE",
    "RESIZE_NEAREST_NEIGHBOR",
    "LEAKY_RELU",
    "SQUARED_DIFFERENCE",
    "MIRROR_PAD",
    "ABS",
    "SPLIT_V",
    "UNIQUE",
    "CEIL",
    "REVERSE_V2",
    "ADD_N",
    "GATHER_ND",
    "COS",
    "WHERE",
    "RANK",
    "ELU",
    "REVERSE_SEQUENCE",
    "MATRIX_DIAG",
    "QUANTIZE",
    "MATRIX_SET_DIAG",
    "ROUND",
    "HARD_SWISH",
    "IF",
    "WHILE",
    "NON_MAX_SUPPRESSION_V4",
    "NON_MAX_SUPPRESSION_V5",
    "SCATTER_ND",
    "SELECT_V2",
    "DENSIFY",
    "SEGMENT_SUM",
    "BATCH_MATMUL",
    "PLACEHOLDER_FOR_GREATER_OP_CODES",
    "CUMSUM",
    "CALL_ONCE",
    "BROADCAST_TO",
    "RFFT2D",
    "CONV_3D",
    "IMAG",
    "REAL",
    "COMPLEX_ABS",
    "HASHTABLE",
    "HASHTABLE_FIND",
    "HASHTABLE_IMPORT",
    "HASHTABLE_SIZE",
    "REDUCE_ALL",
    "CONV_3D_TRANSPOSE",
    "VAR_HANDLE",
    "READ_VARIABLE",
    "ASSIGN_VARIABLE",
    "BROADCAST_ARGS",
    "RANDOM_STANDARD_NORMAL",
    "BUCKETIZE",
    "RANDOM_UNIFORM",
    "MULTINOMIAL",
    "GELU",
    "DYNAMIC_UPDATE_SLICE",
    "RELU_0_TO_1",
    "UNSORTED_SEGMENT_PROD",
    "UNSORTED_SEGMENT_MAX",
    "UNSORTED_SEGMENT_SUM",
    "ATAN2",
    "UNSORTED_SEGMENT_MIN",
    "SIGN",
    "BITCAST",
    "BITWISE_XOR",
    "RIGHT_SHIFT",
    "STABLEHLO_LOGISTIC",
    "STABLEHLO_ADD",
    "STABLEHLO_DIVIDE",
    "STABLEHLO_MULTIPLY",
    "STABLEHLO_MAXIMUM",
    "STABLEHLO_RESHAPE",
    "STABLEHLO_CLAMP",
    "STABLEHLO_CONCATENATE",
    "STABLEHLO_BROADCAST_IN_DIM",
    "STABLEHLO_CONVOLUTION",
    "STABLEHLO_SLICE",
    "STABLEHLO_CUSTOM_CALL",
    "STABLEHLO_REDUCE",
    "STABLEHLO_ABS",
    "STABLEHLO_AND",
    "STABLEHLO_COSINE",
    "STABLEHLO_EXPONENTIAL",
    "STABLEHLO_FLOOR",
    "STABLEHLO_LOG",
    "STABLEHLO_MINIMUM",
    "STABLEHLO_NEGATE",
    "STABLEHLO_OR",
    "STABLEHLO_POWER",
    "STABLEHLO_REMAINDER",
    "STABLEHLO_RSQRT",
    "STABLEHLO_SELECT",
    "STABLEHLO_SUBTRACT",
    "STABLEHLO_TANH",
    "STABLEHLO_SCATTER",
    "STABLEHLO_COMPARE",
    "STABLEHLO_CONVERT",
    "STABLEHLO_DYNAMIC_SLICE",
    "STABLEHLO_DYNAMIC_UPDATE_SLICE",
    "STABLEHLO_PAD",
    "STABLEHLO_IOTA",
    "STABLEHLO_DOT_GENERAL",
    "STABLEHLO_REDUCE_WINDOW",
    "STABLEHLO_SORT",
    "STABLEHLO_WHILE",
    "STABLEHLO_GATHER",
    "STABLEHLO_TRANSPOSE",
    "DILATE",
    "STABLEHLO_RNG_BIT_GENERATOR",
    "REDUCE_WINDOW",
    "STABLEHLO_COMPOSITE",
    "STABLEHLO_SHIFT_LEFT",
    "STABLEHLO_CBRT",
    "STABLEHLO_CASE",
};

enum class Kind : uint8_t { byte, integer, real, integers };

struct Field {
  const char* name = nullptr;
  size_t number = 0;
  Kind kind = Kind::byte;
  double otherwise = 0;
};

struct Schema {
  const char* op;
  std::array<Field, 7> fields;
};

constexpr Field padding{"padding", 0}, stride_w{"stride_w", 1, Kind::integer},
    stride_h{"stride_h", 2, Kind::integer};
constexpr Field fused(size_t number) { return {"fused_activation_function", number}; }
constexpr Field keep_dims{"keep_dims", 0};

constexpr Schema kSchemas[] = {
    {"CONV_2D",
     {padding, stride_w, stride_h, fused(3), Field{"dilation_w_factor", 4, Kind::integer, 1},
      Field{"dilation_h_factor", 5, Kind::integer, 1}}},
    {"DEPTHWISE_CONV_2D",
     {padding, stride_w, stride_h, Field{"depth_multiplier", 3, Kind::integer}, fused(4),
      Field{"dilation_w_factor", 5, Kind::integer, 1},
      Field{"dilation_h_factor", 6, Kind::integer, 1}}},
    {"TRANSPOSE_CONV", {padding, stride_w, stride_h, fused(3)}},
    {"AVERAGE_POOL_2D",
     {padding, stride_w, stride_h, Field{"filter_width", 3, Kind::integer},
      Field{"filter_height", 4, Kind::integer}, fused(5)}},
    {"MAX_POOL_2D",
     {padding, stride_w, stride_h, Field{"filter_width", 3, Kind::integer},
      Field{"filter_height", 4, Kind::integer}, fused(5)}},
    {"FULLY_CONNECTED", {fused(0), Field{"weights_format", 1}, Field{"keep_num_dims", 2}}},
    {"SOFTMAX", {Field{"beta", 0, Kind::real}}},
    {"CONCATENATION", {Field{"axis", 0, Kind::integer}, fused(1)}},
    {"ADD", {fused(0)}},
    {"SUB", {fused(0)}},
    {"MUL", {fused(0)}},
    {"DIV", {fused(0)}},
    {"L2_NORMALIZATION", {fused(0)}},
    {"RESHAPE", {Field{"new_shape", 0, Kind::integers}}},
    {"RESIZE_BILINEAR", {Field{"align_corners", 2}, Field{"half_pixel_centers", 3}}},
    {"RESIZE_NEAREST_NEIGHBOR", {Field{"align_corners", 0}, Field{"half_pixel_centers", 1}}},
    {"LEAKY_RELU", {Field{"alpha", 0, Kind::real}}},
    {"GATHER", {Field{"axis", 0, Kind::integer}, Field{"batch_dims", 1, Kind::integer}}},
    {"STRIDED_SLICE",
     {Field{"begin_mask", 0, Kind::integer}, Field{"end_mask", 1, Kind::integer},
      Field{"ellipsis_mask", 2, Kind::integer}, Field{"new_axis_mask", 3, Kind::integer},
      Field{"shrink_axis_mask", 4, Kind::integer}, Field{"offset", 5}}},
    {"SQUEEZE", {Field{"squeeze_dims", 0, Kind::integers}}},
    {"SPLIT", {Field{"num_split", 0, Kind::integer}}},
    {"SPLIT_V", {Field{"num_split", 0, Kind::integer}}},
    {"PACK", {Field{"values_count", 0, Kind::integer}, Field{"axis", 1, Kind::integer}}},
    {"UNPACK", {Field{"num", 0, Kind::integer}, Field{"axis", 1, Kind::integer}}},
    {"CAST", {Field{"in_data_type", 0}, Field{"out_data_type", 1}}},
    {"MEAN", {keep_dims}},
    {"SUM", {keep_dims}},
    {"REDUCE_MAX", {keep_dims}},
    {"REDUCE_MIN", {keep_dims}},
    {"REDUCE_PROD", {keep_dims}},
    {"MIRROR_PAD", {Field{"mode", 0}}},
    {"BATCH_MATMUL", {Field{"adj_x", 0}, Field{"adj_y", 1}}},
    {"GELU", {Field{"approximate", 0}}},
    {"DEPTH_TO_SPACE", {Field{"block_size", 0, Kind::integer}}},
    {"SPACE_TO_DEPTH", {Field{"block_size", 0, Kind::integer}}},
};

void read_field(const Field& field, const flat::Table& table, Options& options) {
  if (field.kind == Kind::integers) {
    const flat::Vector list = table.numbers(field.number, 4);
    GRAFT_CHECK(list.size() <= 64, "its option ", field.name, " has ", list.size(), " numbers");
    auto& numbers = options.lists[field.name];
    for (size_t i = 0; i < list.size(); ++i) numbers.push_back(list.number<int32_t>(i));
    return;
  }
  double& number = options.numbers[field.name];
  if (field.kind == Kind::byte)
    number = table.number<int8_t>(field.number, static_cast<int8_t>(field.otherwise));
  else if (field.kind == Kind::integer)
    number = table.number<int32_t>(field.number, static_cast<int32_t>(field.otherwise));
  else
    number = table.number<float>(field.number, static_cast<float>(field.otherwise));
}

}  // namespace

std::string name_of_operator(int64_t code) {
  if (code >= 0 && code < std::ssize(kOperatorNames))
    return kOperatorNames[static_cast<size_t>(code)];
  return str("operator ", code);
}

Options read_options(const std::string& name, const flat::Table& table) {
  Options options;
  for (const Schema& schema : kSchemas) {
    if (name != schema.op) continue;
    for (const Field& field : schema.fields)
      if (field.name) read_field(field, table, options);
  }
  return options;
}

}  // namespace graft::io::tflite
