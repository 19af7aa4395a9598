// Attention and rotary position embedding.
#include "graft/layers/functional/attention.h"

#include "graft/models/graph/element_type.h"
#include "graft/models/graph/operators.h"

namespace graft::models::graph {
namespace {

OpOutputs attention_op(const OpCall& call) {
  functional::AttentionInputs in{.query = call.in(0),
                                 .key = call.in(1),
                                 .value = call.in(2),
                                 .mask = call.optional(3),
                                 .past_key = call.optional(4),
                                 .past_value = call.optional(5),
                                 .valid_keys = call.optional(6)};
  functional::AttentionOptions options;
  options.scale = call.real("scale", 0);
  options.causal = call.integer("is_causal", 0) != 0;
  options.softcap = call.real("softcap", 0);
  options.query_heads = call.integer("q_num_heads", 0);
  options.key_heads = call.integer("kv_num_heads", 0);
  options.left_window = call.integer("left_window_size", -1);
  options.right_window = call.integer("right_window_size", -1);
  if (const int64_t type = call.integer("softmax_precision", 0))
    options.softmax_dtype = dtype_of_element(static_cast<io::onnx::ElementType>(type));
  const functional::AttentionResult result = functional::attention(in, options);
  const int64_t mode = call.integer("qk_matmul_output_mode", 0);
  GRAFT_CHECK(mode >= 0 && mode <= 3, "qk_matmul_output_mode ", mode);
  return {result.y, result.present_key, result.present_value,
          mode == 3   ? result.weights
          : mode == 2 ? result.masked_scores
                      : result.scores};
}

OpOutputs rotary_embedding_op(const OpCall& call) {
  const functional::RotaryOptions options{call.integer("interleaved", 0) != 0,
                                          call.integer("rotary_embedding_dim", 0),
                                          call.integer("num_heads", 0)};
  return {
      functional::rotary_embedding(call.in(0), call.in(1), call.in(2), call.optional(3), options)};
}

constexpr Operator kAttentions[] = {
    reading({"Attention", attention_op,
             "is_causal kv_num_heads q_num_heads qk_matmul_output_mode scale softcap "
             "softmax_precision left_window_size right_window_size"},
            {6}),
    {"RotaryEmbedding", rotary_embedding_op, "interleaved num_heads rotary_embedding_dim"},
};

}  // namespace

OperatorTable attention_operators() { return kAttentions; }

}  // namespace graft::models::graph
