// What each instruction set's translation unit offers the engine: plain structs of function
// pointers, nothing inline.
#pragma once
#include <cstdint>

namespace graft::cpu {

// bfloat16 as the kernels see it: bits only (core's bfloat16 has inline functions, which these
// units may not share).
enum class Bf16 : uint16_t {};

// An 8-bit image's element, quantised; its weights are int8_t.
enum class U8 : uint8_t {};

// What weights and biases are given in beside images of T.
template <class T>
struct ParameterOf {
  using type = T;
};
template <>
struct ParameterOf<Bf16> {
  using type = float;
};

template <>
struct ParameterOf<U8> {
  using type = int8_t;
};

enum class Activation : unsigned char { none, relu, relu6 };

// One register tile: out[m][0..columns) = finish(init + sum over segments s, k < length of
// rows[s][m][k] * b[...]). k runs innermost and in order, one fused multiply-add an element, so
// that a row's bits do not depend on its tile.
template <class T>
struct TileArgs {
  const T* const* rows;  // [segments][rows_stride]: where each row of a segment starts
  int64_t rows_stride;
  int64_t row_offset;  // elements to add to every row pointer
  const T* const*
      rows_ahead;  // null, or `mr` rows that are brought closer meanwhile: those of the next tile
  int64_t segments;
  int64_t length;  // of a segment
  const T* b;      // [segments * length][b_stride], `nr` columns are read
  int64_t b_stride;
  int64_t b_segment;  // elements from one segment's b to the next one's
  T* out;
  const int64_t* out_offsets;                 // [rows] elements from out to each row
  int64_t columns;                            // written, <= nr
  bool accumulate;                            // init = what out holds, else 0
  bool finish;                                // then: + bias + residual, activation
  const typename ParameterOf<T>::type* bias;  // [nr] or null
  const T* residual;                          // at the same offsets as out, or null
  Activation activation;
};

// What becomes of an 8-bit convolution's sums, see ops/quantized_conv.h. The vectors are padded to
// whole panels.
struct QuantizedFinish {
  const int32_t* correction;  // taken from the sums: x's zero times the column's sum of weights
  const float *multiplier, *bias;
  Activation activation;
  const void* residual;  // at out's offsets, or null
  bool residual_is_u8;
  float residual_scale;
  int32_t residual_zero;
  void* out;  // the image's first element, U8 or float
  bool out_is_u8;
  float out_inverse;  // 1 / scale
  int32_t out_zero;
};
// One tile of it: always the whole reduction. b is [segments][length / 4, rounded up][nr][4].
template <>
struct TileArgs<U8> {
  const U8* const* rows;
  int64_t rows_stride;
  int64_t segments;
  int64_t length;  // a multiple of 4
  const int8_t* b;
  int64_t b_segment;
  const int64_t* out_offsets;
  int64_t column, columns;  // the tile's first, and how many
  const QuantizedFinish* finish;
};

// The tile of an outer product: out[m][0..columns) = init + sum over k of a[k][m] * b[k][...]. Of
// bfloat16 each step is a pair: a[k][m][2] and b[k][...][2].
template <class T>
struct OuterArgs {
  const T* a;
  int64_t a_stride;
  const T* b;
  int64_t b_stride;
  int64_t length;  // steps
  typename ParameterOf<T>::type* out;
  int64_t out_stride;
  int64_t columns;
  bool accumulate;
  const char* ahead;  // a line of memory that is brought closer with every step, ahead_stride bytes
                      // apart: what is packed next
  int64_t ahead_stride;
};

// The tile of a product with a transposed matrix: out[m][n] = dot(a[m], b[n]) + bias[n], n <
// columns <= 4.
template <class T>
struct DotArgs {
  const T* a;
  int64_t a_stride;
  const T* b;
  int64_t b_stride;
  int64_t length;
  const T* bias;  // [columns] or null
  T* out;
  int64_t out_stride;
};

// Batch norm over a block of pixels [pixels][channels]; the vectors are [channels], in float beside
// bfloat16 images.
template <class T>
struct NormApplyArgs {
  using Parameter = typename ParameterOf<T>::type;
  const T* x;
  const T* residual;  // or null
  T* y;
  int64_t pixels, channels;
  const Parameter* mean;
  const Parameter* scale;  // y = act((x - mean) * scale + bias + residual)
  const Parameter* bias;
  bool relu;
  bool stream;  // y goes past the caches: it is larger than they are
};
template <class T>
struct NormBackwardArgs {
  using Parameter = typename ParameterOf<T>::type;
  const T* x;
  const T* y;  // masks dy where y <= 0; null: no mask of this kind
  const T* dy;
  int64_t pixels, channels;
  const Parameter* mean;
  const Parameter* scale;
  const Parameter*
      bias;             // masks dy where (x - mean) * scale + bias <= 0; null: no mask of this kind
  Parameter* sum_dy;    // += over the block
  Parameter* sum_dy_x;  // += dy * (x - mean)
  // dx = scale * (dy - shift - (x - mean) * slope); used by the second pass only
  const Parameter* shift;
  const Parameter* slope;
  T* dx;         // or null
  T* dresidual;  // the masked dy, or null; written by the first pass where that runs
  bool stream;   // dx and dresidual go past the caches
};

// A run of neighbouring output pixels of a depthwise convolution: out[p][c] = finish(sum over t of
// taps[t][p * step + c] * weight[t][c]), in the order of t = row * columns + column of the filter.
template <class T>
struct DepthwiseArgs {
  using Parameter = typename ParameterOf<T>::type;
  const T* const* taps;  // [rows * columns] where each tap's input of the first pixel starts
  int64_t rows, columns;
  bool is_regular;  // the taps of a filter row start tap_step elements apart
  int64_t tap_step;
  int64_t step;  // elements between the inputs of neighbouring pixels
  int64_t pixels, channels;
  const Parameter* weight;  // [rows * columns][weight_step]
  int64_t weight_step;
  const Parameter* bias;  // [channels] or null
  const T* residual;      // like out, or null
  T* out;                 // pixels out_step elements apart
  int64_t out_step;
  Activation activation;
};
// The weight's gradient over some runs: sums[t][c] += sum over runs and pixels of taps[t][p * step
// + c] * dy[p][c], pixel after pixel.
template <class T>
struct DepthwiseRun {
  const T* const* taps;  // as above
  bool is_regular;
  const T* dy;  // pixels dy_step elements apart
  int64_t pixels;
};
template <class T>
struct DepthwiseGradientArgs {
  const DepthwiseRun<T>* runs;
  int64_t count;
  int64_t rows, columns;
  int64_t tap_step, step, dy_step;
  int64_t channels;
  typename ParameterOf<T>::type* sums;  // [rows * columns][sum_step]
  int64_t sum_step;
};

// Grouped convolution of narrow groups (as many channels in as out, no more than a register has
// lanes): the groups lie side by side in the lanes. A row of output pixels: out[p][c] = finish(sum
// over filter rows r, columns s and j < group of rows[r][p * step + s * tap_step + first channel of
// c's group + j] * weight[c / lanes][r][s][j][c % lanes]). The input is in what sums are kept in,
// its padding is there to read, and whole registers may be read behind a pixel's channels.
template <class T>
struct GroupedArgs {
  using Parameter = typename ParameterOf<T>::type;
  const Parameter* const* rows;  // [filter_rows] where a filter row's first tap of pixel 0 starts
  int64_t filter_rows, filter_columns;
  int64_t tap_step, step;  // elements between neighbouring taps of a row, and between pixels
  int64_t pixels, channels;
  int64_t group;  // divides the lanes
  const Parameter* weight;
  const Parameter* bias;  // [channels] or null
  const T* residual;      // like out, or null
  T* out;                 // pixels out_step elements apart
  int64_t out_step;
  Activation activation;
};
// The weight's gradient over some rows, laid out as the weight above: sums += over runs and pixels
// of input * dy.
template <class T>
struct GroupedRun {
  const typename ParameterOf<T>::type* const* rows;  // as above
  const T* dy;                                       // pixels dy_step elements apart
};
template <class T>
struct GroupedGradientArgs {
  const GroupedRun<T>* runs;
  int64_t count;
  int64_t filter_rows, filter_columns;
  int64_t tap_step, step, dy_step;
  int64_t pixels, channels;  // pixels of a run
  int64_t group;
  typename ParameterOf<T>::type* sums;
};
template <class T>
struct GroupedKernels {
  int lanes;
  void (*run)(const GroupedArgs<T>&);
  void (*gradient)(const GroupedGradientArgs<T>&);
  // Pixels of `channels` elements to pixels of `to_step`, zero-filled.
  void (*widen)(const T* in, int64_t in_step, int64_t pixels, int64_t channels,
                typename ParameterOf<T>::type* out, int64_t out_step);
};

// Element-wise functions that have vectorised maths, named as in ops/unary.h.
enum class MapFunction : unsigned char {
  sigmoid,
  tanh,
  neg,
  exp,
  abs,
  reciprocal,
  erf,
  leaky_relu,
  elu,
  hard_sigmoid,
  hard_swish,
  clip,
  gelu,
  gelu_tanh,
  silu
};
struct MapAttributes {
  MapFunction function;
  float alpha, beta;
};
// What a map takes of T: float and bfloat16. Each element's bits depend on its value alone, not on
// where it stands.
template <class T>
struct MapKernels {
  void (*map)(const MapAttributes&, const T* x, int64_t count, T* y);
  // dx = dy * the derivative, from the forward input x and result y.
  void (*map_backward)(const MapAttributes&, const T* x, const T* y, const T* dy, int64_t count,
                       T* dx);
};

// Along rows of memory, of float and bfloat16; `count` is at least 1. An element's bits depend on
// its row alone.
template <class T>
struct RowKernels {
  // y may be x.
  void (*softmax)(const T* x, int64_t count, T* y);
  // The largest x, and the sum of exp(x - top).
  void (*exponential_sum)(const T* x, int64_t count, float* top, float* sum);
  void (*subtract)(const T* x, int64_t count, float top, float log_sum, T* y);
  // From the result y of softmax, or of its logarithm.
  void (*softmax_gradient)(const T* y, const T* dy, int64_t count, bool log, T* dx);
  // The mean is mean + rest (0 without center), squares the sum of the squared deviations from it.
  void (*deviations)(const T* x, int64_t count, bool center, float* mean, float* rest,
                     float* squares);
  void (*normalize)(const T* x, int64_t count, float mean, float rest, float scale, T* y);
  void (*normalize_gradient)(const T* y, const T* dy, int64_t count, bool center, float scale,
                             T* dx);
};

// Vectorised loops along the channels of NHWC images, or along plain elements. Sums of bfloat16 are
// kept in float.
template <class T>
struct ChannelKernels {
  using Parameter = typename ParameterOf<T>::type;
  // Brings elements into the second-level cache.
  void (*fetch)(const T* block, int64_t count);
  // mean[c] and squares[c] = sum of (x - mean)^2, of one block whose pixels are `stride` elements
  // apart.
  void (*moments)(const T* x, int64_t pixels, int64_t stride, int64_t channels, Parameter* mean,
                  Parameter* squares);
  void (*norm_apply)(const NormApplyArgs<T>&);
  void (*norm_sums)(const NormBackwardArgs<T>&);
  void (*norm_backward)(const NormBackwardArgs<T>&);
  // y[c] = the first largest of rows[i][c], where[c] = positions[i] of it (where may be null). NaN
  // wins.
  void (*max_rows)(const T* const* rows, const int32_t* positions, int64_t count, int64_t channels,
                   T* y, int32_t* where);
  // y[c] = sum over rows[i][c], divided by divisor.
  void (*mean_rows)(const T* const* rows, int64_t count, int64_t channels, Parameter divisor, T* y);
  // dx[c] = sum over dy[i][c] where where[i][c] == position.
  void (*max_gradient)(const T* const* dy, const int32_t* const* where, int64_t count,
                       int32_t position, int64_t channels, T* dx);
  // dx[c] = sum over dy[i][c] / divisors[i].
  void (*mean_gradient)(const T* const* dy, const Parameter* divisors, int64_t count,
                        int64_t channels, T* dx);
  void (*activate)(const T* x, int64_t count, bool six, T* y);
  void (*activate_backward)(const T* x, const T* dy, int64_t count, bool six, T* dx);
  // function: 0 add, 1 sub, 2 mul, 3 div. one_a, one_b (not both): a single element stands for all.
  void (*binary)(const T* a, bool one_a, const T* b, bool one_b, int64_t count, int function, T* y);
  // The same of rows: y[r][c] = a[r * a_step + c] (function) b[r * b_step + c]. A step of 0 repeats
  // a row.
  void (*binary_rows)(const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t rows,
                      int64_t channels, int function, T* y);
  // sums[c] += a[r][c] * b[r][c], or a[r][c] where b is null, row after row.
  void (*multiply_sums)(const T* a, const T* b, int64_t rows, int64_t channels, Parameter* sums);
  void (*depthwise)(const DepthwiseArgs<T>&);
  void (*depthwise_gradient)(const DepthwiseGradientArgs<T>&);
};

// One 4x4 tile of outputs from its 36 frequencies: out = finish(transpose(A) m A).
template <class T>
struct WinogradOutputArgs {
  const T* m;        // [36] frequencies of channels
  int64_t m_stride;  // elements between frequencies
  T* out;            // the tile's first pixel
  int64_t out_row, out_pixel;
  int rows, columns;  // stored, <= 4
  int64_t channels;
  const T* bias;      // [channels] or null
  const T* residual;  // at the same offsets as out, or null
  Activation activation;
};
template <class T>
struct WinogradKernels {
  // out[f * stride + c] of the 6x6 input pixels.
  void (*input)(const T* const* pixels, int64_t channels, T* out, int64_t stride);
  // out[f * stride + i] of nine taps, `count` elements each.
  void (*weight)(const T* taps, int64_t tap_stride, int64_t count, T* out, int64_t stride);
  void (*output)(const WinogradOutputArgs<T>&);
};

template <class T>
struct WinogradGradientKernels {
  // out[f * stride + c] of the gradients of a tile's 4x4 outputs.
  void (*gradient)(const T* const* pixels, int64_t channels, T* out, int64_t stride);
  // taps[t * tap_stride + c] of 36 summed products.
  void (*taps)(const T* m, int64_t stride, int64_t channels, T* taps, int64_t tap_stride);
};

// A step of an optimizer over `count` elements, its numbers in their type (kernels/ops/optimizer.h
// says which they are).
template <class T>
struct SgdStepArgs {
  const T* grad;
  T* weight;
  T* velocity;  // or null
  int64_t count;
  T scale, lr, momentum, decay;  // scale: of the gradient
  bool nesterov;
};
template <class T>
struct AdamStepArgs {
  const T* grad;
  T* weight;
  T* mean;
  T* square;
  int64_t count;
  T scale, step, root, beta2, eps, rest1, rest2, added, kept;
};
template <class T>
struct RmspropStepArgs {
  const T* grad;
  T* weight;
  T* square;
  T* velocity;  // or null
  int64_t count;
  T scale, lr, beta2, eps, rest2, momentum, decay;
};
template <class T>
struct OptimizerStepKernels {
  void (*sgd)(const SgdStepArgs<T>&);
  void (*adam)(const AdamStepArgs<T>&);
  void (*rmsprop)(const RmspropStepArgs<T>&);
};

constexpr int max_tile_rows = 16;
constexpr int tile_gap =
    16;  // elements between packed tiles: they start in different sets of the caches
constexpr int dot_rows = 3;
constexpr int dot_columns = 4;

template <class T>
struct KernelTable {
  const char* name;
  ChannelKernels<T> channels;
  WinogradKernels<T> winograd;
  WinogradGradientKernels<T> winograd_gradient;
  OptimizerStepKernels<T> optimizers;
  int mr;      // rows of a full tile
  int nr;      // columns of a tile
  int k_step;  // a segment of b is padded to a multiple of it
  void (*tile[max_tile_rows + 1])(const TileArgs<T>&);    // by number of rows, 1..mr
  void (*outer[max_tile_rows + 1])(const OuterArgs<T>&);  // by number of rows, 1..mr
  void (*dot[dot_rows + 1][dot_columns + 1])(const DotArgs<T>&);
  // [pixels][channels] to tiles of mr channels, [tile][pixels][mr], zero-filled beyond the
  // channels. tile_stride is at least pixels * mr + tile_gap.
  void (*pack_tiles)(const T* in, int64_t in_stride, int64_t pixels, int64_t channels, T* out,
                     int64_t tile_stride);
  // out[p][0..nr) = rows[p][0..columns), zero-filled; columns <= nr.
  void (*pack_rows)(const T* const* rows, int64_t pixels, int64_t columns, T* out);
  // sums[c] += in[p][c], pixel after pixel.
  void (*add_rows)(const T* in, int64_t in_stride, int64_t pixels, int64_t channels, T* sums);
  // out[c][r] = in[r][c], rows of `out` lying anywhere.
  void (*transpose_to)(const T* in, int64_t in_stride, int64_t rows, int64_t columns,
                       T* const* out);
  // out[c][r] = in[r][c]; strides in elements.
  void (*transpose)(const T* in, int64_t in_stride, int64_t rows, int64_t columns, T* out,
                    int64_t out_stride);
};

// Images in bfloat16, sums in float. A tile reads its rows in pairs of elements and does not
// accumulate.
template <>
struct KernelTable<Bf16> {
  const char* name;
  int mr, nr, k_step;
  const KernelTable<float>* floats;  // of the same instruction set, with the same nr
  ChannelKernels<Bf16> channels;
  void (*tile[max_tile_rows + 1])(const TileArgs<Bf16>&);    // by number of rows, 1..mr
  void (*outer[max_tile_rows + 1])(const OuterArgs<Bf16>&);  // the same
  // As the float table's, with pairs of pixels: [tile][ceil(pixels / 2)][mr][2] and [ceil(pixels /
  // 2)][nr][2].
  void (*pack_tiles)(const Bf16* in, int64_t in_stride, int64_t pixels, int64_t channels, Bf16* out,
                     int64_t tile_stride);
  void (*pack_rows)(const Bf16* const* rows, int64_t pixels, int64_t columns, Bf16* out);
  void (*add_rows)(const Bf16* in, int64_t in_stride, int64_t pixels, int64_t channels,
                   float* sums);
  // [length][nr] floats to pairs of rows, [ceil(length / 2)][nr][2].
  void (*pack_pairs)(const float* in, int64_t length, Bf16* out);
};

// Images in u8, sums in i32.
template <>
struct KernelTable<U8> {
  const char* name;
  int mr, nr, k_step;
  void (*tile[max_tile_rows + 1])(const TileArgs<U8>&);  // by number of rows, 1..mr
  void (*quantize)(const float* x, int64_t count, float inverse, int32_t zero, U8* y);
};

extern const KernelTable<U8> portable_u8;
extern const KernelTable<U8> avx2_u8;
extern const KernelTable<U8> avx512_vnni_u8;
extern const KernelTable<float> portable_f32;
extern const KernelTable<double> portable_f64;
extern const KernelTable<float> avx2_f32;
extern const KernelTable<double> avx2_f64;
extern const KernelTable<float> avx512_f32;
extern const KernelTable<double> avx512_f64;
extern const KernelTable<Bf16> avx512_bf16;
// Loops along channels need no product of bfloat16: every set has them.
extern const ChannelKernels<Bf16> portable_bf16_channels;
extern const ChannelKernels<Bf16> avx2_bf16_channels;
extern const ChannelKernels<Bf16>
    avx512_bf16_channels;  // without the set's conversions, for processors that lack them
extern const GroupedKernels<float> portable_f32_grouped, avx2_f32_grouped, avx512_f32_grouped;
extern const GroupedKernels<double> portable_f64_grouped, avx2_f64_grouped, avx512_f64_grouped;
extern const GroupedKernels<Bf16> portable_bf16_grouped, avx2_bf16_grouped, avx512_bf16_grouped;
extern const RowKernels<float> portable_f32_rows, avx2_f32_rows, avx512_f32_rows;
extern const RowKernels<Bf16> portable_bf16_rows, avx2_bf16_rows, avx512_bf16_rows;
extern const MapKernels<float> portable_f32_maps, avx2_f32_maps, avx512_f32_maps;
extern const MapKernels<Bf16> portable_bf16_maps, avx2_bf16_maps, avx512_bf16_maps;

}  // namespace graft::cpu
