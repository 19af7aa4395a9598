#include "graft/models/graph/operators.h"

#include <map>
#include <string>

namespace graft::models::graph {
namespace {

using OperatorMap = std::map<std::pair<std::string_view, std::string_view>, const Operator*>;

OperatorMap make_operator_map() {
  OperatorMap map;
  for (const OperatorTable table :
       {convolution_operators(), pooling_operators(), normalization_operators(),
        elementwise_operators(), activation_operators(), shape_operators(), movement_operators(),
        indexing_operators(), constant_operators(), linear_operators(), reduction_operators(),
        image_operators(), quantization_operators(), loss_operators(), attention_operators()})
    for (const Operator& op : table) {
      const bool is_first =
          map.emplace(std::pair<std::string_view, std::string_view>(op.domain, op.name), &op)
              .second;
      GRAFT_ASSERT(is_first);
    }
  return map;
}

}  // namespace

const Operator* find_operator(std::string_view domain, std::string_view op_type) {
  static const OperatorMap map = make_operator_map();
  const auto found = map.find({domain, op_type});
  return found == map.end() ? nullptr : found->second;
}

bool knows_attribute(const Operator& op, std::string_view attribute) {
  const std::string_view known = op.attributes;
  for (size_t at = known.find(attribute); at != std::string_view::npos;
       at = known.find(attribute, at + 1)) {
    const size_t end = at + attribute.size();
    if ((at == 0 || known[at - 1] == ' ') && (end == known.size() || known[end] == ' '))
      return true;
  }
  return false;
}

}  // namespace graft::models::graph
