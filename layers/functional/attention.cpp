// functional::attention and rotary_embedding, composed of matmul, softmax and movement.
#include "graft/layers/functional/attention.h"

#include <cmath>
#include <limits>

#include "graft/kernels/ops/reduce.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/indexing.h"
#include "graft/layers/functional/matrices.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/softmax.h"

namespace graft::functional {
namespace {

constexpr double kMasked = -std::numeric_limits<double>::infinity();
constexpr int kSwapMiddle[] = {0, 2, 1, 3}, kSwapLast[] = {0, 1, 3, 2};

Tensor constant(double value, DType dtype) { return Tensor::scalar(value, dtype); }

// [N,L,H*D] -> [N,H,L,D]; rank 4 as it is.
Tensor by_heads(const Tensor& x, int64_t heads, const char* what) {
  if (x.rank() == 4) return x;
  GRAFT_CHECK(x.rank() == 3 && heads >= 1 && x.size(2) % heads == 0, "attention: ", what, " ",
              x.shape(), " for ", heads, " heads");
  return transpose(reshape(x, {x.size(0), x.size(1), heads, x.size(2) / heads}), kSwapMiddle);
}

Tensor joined_past(const Tensor& past, const Tensor& x) {
  if (!past.defined()) return x;
  const Tensor parts[] = {past, x};
  return concat(parts, 2);
}

// Each head `times` times in a row.
Tensor repeated_heads(const Tensor& x, int64_t times) {
  if (times == 1) return x;
  Tensor order = Tensor::empty({x.size(1) * times}, {.dtype = DType::i64});
  for (int64_t i = 0; i < order.numel(); ++i) order.mutable_data<int64_t>()[i] = i / times;
  return gather(x, order, 1);
}

// What causality, windows and valid_keys forbid: 0 or -infinity, [Lq,keys] or [N,1,Lq,keys];
// undefined when nothing.
Tensor structural_mask(const AttentionInputs& in, const AttentionOptions& options, int64_t queries,
                       int64_t keys, DType dtype) {
  const bool window = options.causal || options.left_window >= 0 || options.right_window >= 0;
  const bool by_sample = in.valid_keys.defined();
  if (!window && !by_sample) return {};
  const std::vector<double> valid =
      by_sample ? in.valid_keys.to_doubles() : std::vector<double>{static_cast<double>(keys)};
  const int64_t past = in.past_key.defined() ? in.past_key.size(2) : 0;
  std::vector<double> values;
  for (const double count : valid) {
    const int64_t offset = by_sample ? static_cast<int64_t>(count) - queries : past;
    for (int64_t i = 0; i < queries; ++i)
      for (int64_t j = 0; j < keys; ++j) {
        const int64_t behind = i + offset - j;  // how far the key lies before the query
        const bool allowed = static_cast<double>(j) < count && (!options.causal || behind >= 0) &&
                             (options.left_window < 0 || behind <= options.left_window) &&
                             (options.right_window < 0 || -behind <= options.right_window);
        values.push_back(allowed ? 0 : kMasked);
      }
  }
  const Shape shape = by_sample ? Shape{static_cast<int64_t>(valid.size()), 1, queries, keys}
                                : Shape{queries, keys};
  return Tensor::of(shape, values).to(dtype);
}

// The caller's mask as something to add, as long as the keys.
Tensor additive_mask(const Tensor& mask, int64_t keys, DType dtype) {
  Tensor added = mask.dtype() == DType::boolean
                     ? where(mask, constant(0, dtype), constant(kMasked, dtype))
                     : cast(mask, dtype);
  const int64_t missing = mask.rank() ? keys - mask.size(-1) : 0;
  if (missing <= 0) return added;
  const std::vector<int64_t> begin(static_cast<size_t>(mask.rank()));
  std::vector<int64_t> end = begin;
  end.back() = missing;
  return pad(added, begin, end, PadMode::constant, kMasked);
}

Tensor softmax_in(const Tensor& x, const std::optional<DType>& dtype) {
  return cast(softmax(dtype ? cast(x, *dtype) : x, -1), x.dtype());
}

void check_attention(const AttentionInputs& in, const Tensor& q, const Tensor& k, const Tensor& v) {
  GRAFT_CHECK(
      q.rank() == 4 && k.rank() == 4 && v.rank() == 4 && q.size(0) == k.size(0) &&
          k.size(0) == v.size(0) && k.size(1) == v.size(1) && k.size(2) == v.size(2) &&
          q.size(3) == k.size(3) && k.size(1) >= 1 && q.size(1) % k.size(1) == 0 && q.size(3) >= 1,
      "attention: query ", q.shape(), ", key ", k.shape(), " and value ", v.shape(), " do not fit");
  GRAFT_CHECK(in.past_key.defined() == in.past_value.defined() &&
                  !(in.past_key.defined() && in.valid_keys.defined()),
              "attention: past keys go with past values, and not with valid_keys");
  GRAFT_CHECK(!in.valid_keys.defined() || in.valid_keys.shape() == Shape{q.size(0)},
              "attention: valid_keys for ", q.size(0), " samples");
  GRAFT_CHECK(is_floating(q.dtype()), "attention: a query of ", name_of(q.dtype()));
}

}  // namespace

AttentionResult attention(const AttentionInputs& in, const AttentionOptions& options) {
  const Tensor query = by_heads(in.query, options.query_heads, "query");
  const Tensor new_key = by_heads(in.key, options.key_heads, "key"),
               new_value = by_heads(in.value, options.key_heads, "value");
  check_attention(in, query, new_key, new_value);
  AttentionResult result;
  result.present_key = joined_past(in.past_key, new_key);
  result.present_value = joined_past(in.past_value, new_value);
  const int64_t times = query.size(1) / new_key.size(1), keys = result.present_key.size(2);
  const Tensor key = repeated_heads(result.present_key, times),
               value = repeated_heads(result.present_value, times);
  const DType dtype = query.dtype();
  // Both factors take the root of the scale, so that 16-bit scores do not overflow.
  const double scale =
      options.scale > 0 ? options.scale : 1 / std::sqrt(static_cast<double>(query.size(3)));
  const Tensor root = constant(std::sqrt(scale), dtype);
  result.scores = matmul(mul(query, root), transpose(mul(key, root), kSwapLast));
  if (options.softcap > 0)
    result.scores =
        mul(unary(div(result.scores, constant(options.softcap, dtype)), ops::Unary::tanh),
            constant(options.softcap, dtype));
  Tensor bias = structural_mask(in, options, query.size(2), keys, dtype);
  if (in.mask.defined()) {
    const Tensor mask = additive_mask(in.mask, keys, dtype);
    bias = bias.defined() ? add(to_format(mask, MemoryFormat::contiguous), bias) : mask;
  }
  if (!bias.defined()) {
    result.masked_scores = result.scores;
    result.weights = softmax_in(result.scores, options.softmax_dtype);
  } else {
    const Tensor fitted = to_format(bias, query.format());
    result.masked_scores = add(result.scores, fitted);
    // A query that may attend no key would give 0/0 here and in the gradient.
    const Tensor none =
        binary(to_format(reduce(fitted, {ops::Reduce::max, {-1}, true}), query.format()),
               constant(kMasked, dtype), ops::Binary::equal);
    const Tensor zero = constant(0, dtype);
    result.weights =
        where(none, zero,
              softmax_in(add(result.scores, where(none, zero, fitted)), options.softmax_dtype));
  }
  result.y = matmul(result.weights, value);
  if (in.query.rank() == 3) {
    const Tensor rows = transpose(result.y, kSwapMiddle);
    result.y = reshape(rows, {rows.size(0), rows.size(1), checked_mul(rows.size(2), rows.size(3))});
  }
  return result;
}

Tensor rotary_embedding(const Tensor& x, const Tensor& cosines, const Tensor& sines,
                        const Tensor& positions, const RotaryOptions& options) {
  const bool flat = x.rank() == 3;
  const Tensor heads = by_heads(x, options.heads, "rotary_embedding's x");  // [N,H,L,D]
  const int64_t size = heads.size(3), rotated = options.rotated ? options.rotated : size;
  GRAFT_CHECK(rotated >= 0 && rotated <= size && rotated % 2 == 0, "rotary_embedding: ", rotated,
              " elements of heads of ", size);
  const auto table = [&](const Tensor& t) {
    const Tensor rows = positions.defined() ? gather(t, positions) : t;
    const Shape expected{heads.size(0), heads.size(2), rotated / 2};
    GRAFT_CHECK(rows.shape() == expected, "rotary_embedding: a table ", rows.shape(), ", expected ",
                expected);
    return to_format(reshape(rows, {expected[0], 1, expected[1], expected[2]}), heads.format());
  };
  const Tensor cosine = table(cosines), sine = table(sines);
  const auto part = [&](int64_t begin, int64_t end, int64_t step) {
    return slice(heads, {{begin}, {end}, {3}, {step}});
  };
  const Tensor first = options.interleaved ? part(0, rotated, 2) : part(0, rotated / 2, 1);
  const Tensor second = options.interleaved ? part(1, rotated, 2) : part(rotated / 2, rotated, 1);
  const Tensor real = sub(mul(cosine, first), mul(sine, second)),
               imaginary = add(mul(sine, first), mul(cosine, second));
  Tensor turned;
  if (options.interleaved) {
    static constexpr int kPairs[] = {4};
    const Tensor pairs[] = {unsqueeze(real, kPairs), unsqueeze(imaginary, kPairs)};
    turned =
        to_format(reshape(concat(pairs, 4), {heads.size(0), heads.size(1), heads.size(2), rotated}),
                  heads.format());
  } else {
    const Tensor halves[] = {real, imaginary};
    turned = concat(halves, 3);
  }
  const Tensor parts[] = {turned, part(rotated, size, 1)};
  const Tensor y = rotated == size ? turned : concat(parts, 3);
  return flat ? reshape(transpose(y, kSwapMiddle), x.shape()) : y;
}

}  // namespace graft::functional
