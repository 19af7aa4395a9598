// Scaled dot-product attention and rotary position embedding, with the semantics of ONNX's
// Attention and RotaryEmbedding.
#pragma once
#include <optional>

#include "graft/core/tensor/tensor.h"

namespace graft::functional {

struct AttentionInputs {
  Tensor query{};  // [N,Hq,Lq,D], or [N,Lq,Hq*D] with `query_heads`
  Tensor key,
      value;  // [N,Hk,Lk,D], [N,Hk,Lk,Dv], or of rank 3 with `key_heads`; Hq is a multiple of Hk
  Tensor mask{};  // bool (true: attend) or added to the scores; broadcasts to [N,Hq,Lq,keys], its
                  // last axis may be shorter
  Tensor past_key{}, past_value{};  // [N,Hk,P,D]: put before key and value; both or neither
  Tensor
      valid_keys{};  // i64 [N]: only that many leading keys of each sample count; not with a past
};
struct AttentionOptions {
  double scale = 0;  // of the scores; 0: 1 / sqrt(D)
  bool causal =
      false;  // query i attends key j when j <= i + P; with valid_keys P is valid_keys - Lq
  int64_t left_window = -1,
          right_window = -1;  // keys farther away from i + P than this are masked; -1: none
  double softcap = 0;         // > 0: scores become softcap * tanh(scores / softcap) before the mask
  int64_t query_heads = 0, key_heads = 0;  // of inputs of rank 3
  std::optional<DType> softmax_dtype{};    // the softmax is computed in this type
};
struct AttentionResult {
  Tensor y{};                             // [N,Hq,Lq,Dv], or [N,Lq,Hq*Dv] for inputs of rank 3
  Tensor present_key{}, present_value{};  // past and new ones, of rank 4
  Tensor scores{};                        // [N,Hq,Lq,keys], scaled and capped
  Tensor masked_scores{};                 // with the mask added
  Tensor weights{};                       // their softmax; a query without any key has zeros
};
// y = softmax(scale * query * transpose(key) + mask) * value: Vaswani et al. 2017, eq. 1.
GRAFT_API AttentionResult attention(const AttentionInputs& inputs,
                                    const AttentionOptions& options = {});

struct RotaryOptions {
  bool interleaved = false;  // pairs are neighbours, else halves
  int64_t rotated = 0;       // how many leading elements of a head are rotated; 0: all
  int64_t heads = 0;         // of an x of rank 3
};
// x [N,H,L,D] or [N,L,H*D]; cosines and sines [N,L,R/2], or tables [positions,R/2] read at
// positions i64 [N,L]. Su et al. 2021.
GRAFT_API Tensor rotary_embedding(const Tensor& x, const Tensor& cosines, const Tensor& sines,
                                  const Tensor& positions = {}, const RotaryOptions& options = {});

}  // namespace graft::functional
